"""The book that the stories of orders begin with: open, with 100,000 dollars."""

from domain.orders.decide import orders
from tests.kit.orders import credited, opened
from tests.kit.stories import Story

book = Story(orders, opened(), credited())
