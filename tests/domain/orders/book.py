"""The book that the stories of orders begin with: open and approved, with 100,000 dollars."""

from domain.orders.decide import orders
from tests.kit.orders import approved, credited, opened
from tests.kit.stories import Story

book = Story(orders, opened(), approved(), credited())
