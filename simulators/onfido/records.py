"""The vendor's own memory: applicants, runs and the notices it owes, in a journal file that survives a kill.

Each line of the journal is one thing as it is now, the last line of a thing holds; without a file all is forgotten at
the end. Who passes is decided by the last word of the applicant's last name, as vendors' sandboxes do.
"""

import json
import logging
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from simulators.onfido.requests import Json

OUTCOMES = {
    "consider": "review",
    "declined": "declined",
    "abandoned": "abandoned",
    "error": "error",
    "waiting": "processing",
}
"""By the last word of the last name; everybody else is approved."""
REASONS = {"declined": ["document_integrity_rejected"], "review": ["possible_watchlist_match"]}
UNDECIDED = "processing"
STATUSES = frozenset(
    {"processing", "awaiting_input", "awaiting_client_input", "approved", "declined", "review", "abandoned", "error"}
)
log = logging.getLogger("onfido")


class Records:
    """Everything that the vendor knows; `base` is its own address, which stands in every link."""

    def __init__(self, path: Path | None) -> None:
        self.base = ""
        self.applicants: dict[str, Json] = {}
        self.runs: dict[str, Json] = {}
        self.owed: dict[str, bytes] = {}
        self._file = -1
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._recall(path)

    def add_applicant(self, given: Json) -> Json:
        """A new applicant, as the vendor shows it."""
        applicant_id = str(uuid.uuid4())
        made = {"id": applicant_id, "created_at": _now(), "href": f"/v3.6/applicants/{applicant_id}", "sandbox": True}
        self._put("applicant", applicant_id, made | given)
        return self.applicants[applicant_id]

    def forget(self, applicant_id: str) -> None:
        """Delete an applicant; its runs stay, without a person."""
        self._put("applicant", applicant_id, None)

    def add_run(self, given: Json) -> Json:
        """A new run, which is being processed."""
        run_id, now = str(uuid.uuid4()), _now()
        made: Json = {
            "id": run_id,
            "workflow_version_id": 1,
            "dashboard_url": f"{self.base}/dashboard/{run_id}",
            "status": UNDECIDED,
            "output": {},
            "reasons": [],
            "sdk_token": None,  # nosec B105  # we hand out none
            "created_at": now,
            "updated_at": now,
        }
        link = {"url": f"{self.base}/link/{run_id}"}
        self._put("run", run_id, {"tags": [], "link": link} | given | made)
        return self.runs[run_id]

    def outcome(self, run: Json) -> str:
        """What will become of the run when nobody decides it by hand."""
        applicant = self.applicants.get(str(run["applicant_id"]), {})
        words = str(applicant.get("last_name", "")).lower().split()
        return OUTCOMES.get(words[-1] if words else "", "approved")

    def decide(self, run_id: str, status: str) -> Json:
        """The run with this outcome."""
        run = self.runs[run_id] | {"status": status, "reasons": REASONS.get(status, []), "updated_at": _now()}
        run["output"] = {"outcome": status}
        if status == "error":
            run["error"] = {"type": "workflow_error", "message": "A task of the workflow failed."}
        self._put("run", run_id, run)
        return run

    def owe(self, run: Json) -> str:
        """The id of a new notice about the run as it is now."""
        notice_id = str(uuid.uuid4())
        self._put("notice", notice_id, _notice(run, self.base))
        return notice_id

    def settle(self, notice_id: str) -> None:
        """The notice was accepted or given up."""
        self._put("notice", notice_id, None)

    def undecided(self) -> list[str]:
        """Runs that wait for their outcome; a journal that is recalled may hold some."""
        return [run_id for run_id, run in self.runs.items() if run["status"] == UNDECIDED]

    def close(self) -> None:
        """Let the file go."""
        if self._file >= 0:
            os.close(self._file)

    def _put(self, kind: str, thing_id: str, value: Json | None) -> None:
        if self._file >= 0:
            line = json.dumps([kind, thing_id, value], separators=(",", ":")).encode() + b"\n"
            if os.write(self._file, line) != len(line):
                raise OSError("the journal took half a line: make room on its disk and start again")
        self._keep(kind, thing_id, value)

    def _keep(self, kind: str, thing_id: str, value: Json | None) -> None:
        if kind == "notice":
            if value is None:
                self.owed.pop(thing_id, None)
            else:
                self.owed[thing_id] = json.dumps(value, separators=(",", ":")).encode()
            return
        things = self.applicants if kind == "applicant" else self.runs
        if value is None:
            things.pop(thing_id, None)
        else:
            things[thing_id] = value

    def _recall(self, path: Path) -> None:
        whole = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    log.warning("the journal ends within a line: cutting off what nobody was told of")
                    break
                whole += len(line)
                self._keep(*json.loads(line))
        os.ftruncate(self._file, whole)


def _notice(run: Json, base: str) -> Json:
    """A webhook of payload version 3; the contract requires `event` and `resource_id` of older versions too."""
    resource = {name: value for name, value in run.items() if name not in {"output", "sdk_token"}}
    href = f"{base}/v3.6/workflow_runs/{run['id']}"
    about = {"id": run["id"], "status": run["status"], "completed_at_iso8601": run["updated_at"], "href": href}
    return {
        "payload": {
            "resource_type": "workflow_run",
            "resource_id": run["id"],
            "event": "workflow_run.completed",
            "action": "workflow_run.completed",
            "object": about,
            "resource": resource,
        }
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
