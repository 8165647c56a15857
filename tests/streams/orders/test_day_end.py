"""The agent that ends the day; it runs on a broker in tests/streams/risk, beside the exposure agent."""

from infra.faust.agent import App
from streams.orders import day_end


def test_the_wiring_sentence_names_what_the_agent_reads_and_writes() -> None:
    app = App()
    day_end.attach(app)
    (agent,) = app.agents
    wiring = (day_end.__doc__ or "").split(":")[0]
    assert wiring == f"{', '.join(agent.sources)} -> {agent.commands}"
