"""`tapeline privacy erase | show`: a person's right to be forgotten -> the vault under `<state_dir>/vault`, the vendor.

What stands on the tape stays there as ciphertext that nobody can read any more; every proof of it stays valid. The key
goes first. Then the KYC vendor is told to delete what it knows: its own ids stand in what was sealed, so the person is
found there by the checks, and whoever could not be told is told by erasing again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from gateways import terminal
from gateways.client import Json
from gateways.terminal import AsJson
from infra import sealing
from infra.kms.port import KeyRefused, KeysUnavailable
from infra.kyc.onfido import Access, Onfido, VendorRefused, VendorUnavailable
from infra.postgres import Database, DatabaseDown
from infra.sealing import Status, Vault
from infra.settings import revealed, settings
from projections.onboarding import checks

T = TypeVar("T")
CHECKS_READ_MAX = 1_000
"""Checks of one account that are looked for: ten times what an account may have."""
Account = Annotated[str, typer.Argument(help="The account of the person.")]
TenantOption = Annotated[str, typer.Option("--tenant", help="Tenant of the account.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask: it cannot be undone.")]

app = typer.Typer(no_args_is_help=True, help="Personal data: what is sealed for an account, and erasing it.")


@app.command()
def erase(account: Account, *, tenant: TenantOption = "demo", yes: YesOption = False, as_json: AsJson = False) -> None:
    """Destroy the key of an account's personal data, for ever, and have the KYC vendor delete what it knows.

    The tape and its proofs stay as they are.
    """
    if not yes:
        typer.confirm(f"Erase the personal data of {tenant}/{account}? Nobody can bring it back", abort=True, err=True)
    before = _answer(lambda vault: vault.status(tenant, account))
    if before is Status.NONE:
        typer.echo(f"nothing was ever sealed for {tenant}/{account}: look at the account and at --tenant", err=True)
        raise typer.Exit(1)
    is_new = _answer(lambda vault: vault.erase(tenant, account))
    said: Json = {"tenant": tenant, "account_id": account, "status": "erased", "erased_now": is_new}
    try:
        told = asyncio.run(_tell_vendor(tenant, account))
    except (DatabaseDown, VendorUnavailable, VendorRefused, OSError) as error:
        terminal.show(said | {"vendor": "not told"}, as_json=as_json)
        typer.echo(f"erased here, but the KYC vendor was not told: {error}; mend it and erase again", err=True)
        raise typer.Exit(1) from error
    terminal.show(said | {"vendor": f"told to delete {told} applicants"}, as_json=as_json)


@app.command()
def show(account: Account, tenant: TenantOption = "demo", *, as_json: AsJson = False) -> None:
    """Show whether the personal data of an account can be read: sealed, erased or none."""
    status = _answer(lambda vault: vault.status(tenant, account))
    terminal.show({"tenant": tenant, "account_id": account, "status": status}, as_json=as_json)


async def _tell_vendor(tenant: str, account: str) -> int:
    """How many applicants the vendor was told to delete. Raises DatabaseDown, VendorUnavailable, VendorRefused."""
    database = Database(settings().postgres, name="privacy")
    try:
        known = await checks.checks(database, tenant=tenant, account_id=account, limit=CHECKS_READ_MAX)
    finally:
        await database.close()
    if not known:
        return 0
    access = Access(settings().onfido_url, revealed(settings().onfido_token))
    async with Onfido.open(access) as vendor:
        return sum([await vendor.forget_check(each.check_id) for each in known])


def _answer(question: Callable[[Vault], Awaitable[T]]) -> T:
    async def ask() -> T:
        return await question(sealing.vault(settings()))

    try:
        return asyncio.run(ask())
    except (KeyRefused, KeysUnavailable, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
