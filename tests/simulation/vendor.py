"""The KYC vendor: answers every check that stands on the tape, late, twice, or after a second look.

Its answers are written to the feed as the effects of the product write them; the door to the vendor itself is HTTP and
is tested against the vendor's own simulator.
"""

from random import Random

from domain.kernel.ids import AccountId, CheckId, Micros
from domain.onboarding import reports
from domain.onboarding.events import KycCheckRequested
from domain.onboarding.reports import KycReport
from infra.avro.codec import Codec
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.sender import murmur2_partition
from tests.simulation.network import Network
from tests.simulation.options import Options
from tests.simulation.system import EPOCH_US

FEED = "onboarding.reports"
LATE_US_MAX = 5_000_000


class Vendor:
    """Hears what stands, and reports."""

    def __init__(self, network: Network, codec: Codec, random: Random, options: Options) -> None:
        self._network = network
        self._codec = codec
        self._random = random
        self._options = options

    def hear(self, records: list[Arrived]) -> None:
        """New events of onboarding."""
        for record in records:
            recorded = self._codec.decode_event(record.value)
            if isinstance(recorded.event, KycCheckRequested):
                first = self._random.choice(("approved", "approved", "approved", "declined", "review"))
                wait_us = self._random.randrange(200_000)
                self._later(wait_us, recorded.tenant, recorded.stream_id, recorded.event.check_id, first)
                if first == "review":
                    self._later(2 * wait_us, recorded.tenant, recorded.stream_id, recorded.event.check_id, "approved")

    def _later(self, wait_us: int, tenant: str, account_id: str, check_id: CheckId, status: str) -> None:
        report = KycReport(
            source_id=reports.source_id(check_id, f"run-{check_id}", status),
            tenant=tenant,
            account_id=AccountId(account_id),
            check_id=check_id,
            run_id=f"run-{check_id}",
            status=status,
            cause="",
            body_sealed=b"",
            received_at=Micros(EPOCH_US + self._network.loop.now_us + wait_us),
        )
        record = Outgoing(account_id.encode(), self._codec.encode_observed(report))
        place = (FEED, murmur2_partition(record.key, self._options.partitions))

        def arrive() -> None:
            self._network.tape.append(place, record)

        times = 2 if self._random.random() < self._options.kyc_repeat else 1
        for number in range(times):
            late_us = number * self._random.randrange(LATE_US_MAX)
            self._network.later(wait_us + late_us, arrive)
