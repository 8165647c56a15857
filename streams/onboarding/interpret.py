"""onboarding.reports -> onboarding.commands: say to each account's file what the vendor's sealed answers mean."""

from domain.kernel.ids import derived
from domain.kernel.messages import Issued
from domain.onboarding import reports
from domain.onboarding.commands import OnboardingCommand
from domain.onboarding.reports import KycReport
from infra.kyc.reporter import FEED
from streams.interpreting import interpreting

NAME = "onboarding.interpret"


def meaning(report: KycReport) -> Issued[OnboardingCommand]:
    """The command for the file of the account that was checked. Raises Unreadable."""
    return Issued(
        command=reports.interpret(report),
        command_id=derived("kyc report", report.source_id),
        tenant=report.tenant,
        stream_id=report.account_id,
        causation_id=report.source_id,
        correlation_id=report.check_id,
    )


interpret = interpreting(NAME, FEED, KycReport, "onboarding", meaning)
