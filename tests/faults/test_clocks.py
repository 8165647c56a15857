"""The control of wrong clocks: a process that is started so reads another hour, and one without does not."""

import subprocess
import sys
import time

import pytest

from tests.faults.injectors import clocks

HOUR_SECONDS = 3_600
NEAR_SECONDS = 120
READ = "import time; time.sleep(0.01); print(time.time())"


@pytest.mark.parametrize(("clock", "ahead"), [("an hour ahead", HOUR_SECONDS), ("an hour behind", -HOUR_SECONDS)])
def test_a_process_under_a_wrong_clock_reads_another_hour(clock: str, ahead: int) -> None:
    if why := clocks.FAULTS[0].missing():
        pytest.skip(why)
    assert abs(_read(clocks.environment(clocks.CLOCKS[clock])) - time.time() - ahead) < NEAR_SECONDS
    assert abs(_read({}) - time.time()) < NEAR_SECONDS


def _read(env: dict[str, str]) -> float:
    return float(subprocess.run([sys.executable, "-c", READ], env=env, capture_output=True, check=True).stdout)
