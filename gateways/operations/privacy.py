"""`tapeline privacy erase | show`: a person's right to be forgotten -> the vault under `<state_dir>/vault`.

What stands on the tape stays there as ciphertext that nobody can read any more; every proof of it stays valid.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from gateways import terminal
from gateways.terminal import AsJson
from infra import sealing
from infra.kms.port import KeyRefused, KeysUnavailable
from infra.sealing import Status, Vault
from infra.settings import settings

T = TypeVar("T")
Account = Annotated[str, typer.Argument(help="The account of the person.")]
TenantOption = Annotated[str, typer.Option("--tenant", help="Tenant of the account.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask: it cannot be undone.")]

app = typer.Typer(no_args_is_help=True, help="Personal data: what is sealed for an account, and erasing it.")


@app.command()
def erase(account: Account, *, tenant: TenantOption = "demo", yes: YesOption = False, as_json: AsJson = False) -> None:
    """Destroy the key of an account's personal data, for ever; the tape and its proofs stay as they are."""
    if not yes:
        typer.confirm(f"Erase the personal data of {tenant}/{account}? Nobody can bring it back", abort=True, err=True)
    before = _answer(lambda vault: vault.status(tenant, account))
    if before is Status.NONE:
        typer.echo(f"nothing was ever sealed for {tenant}/{account}: look at the account and at --tenant", err=True)
        raise typer.Exit(1)
    is_new = _answer(lambda vault: vault.erase(tenant, account))
    terminal.show({"tenant": tenant, "account_id": account, "status": "erased", "erased_now": is_new}, as_json=as_json)


@app.command()
def show(account: Account, tenant: TenantOption = "demo", *, as_json: AsJson = False) -> None:
    """Show whether the personal data of an account can be read: sealed, erased or none."""
    status = _answer(lambda vault: vault.status(tenant, account))
    terminal.show({"tenant": tenant, "account_id": account, "status": status}, as_json=as_json)


def _answer(question: Callable[[Vault], Awaitable[T]]) -> T:
    async def ask() -> T:
        return await question(sealing.vault(settings()))

    try:
        return asyncio.run(ask())
    except (KeyRefused, KeysUnavailable, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
