"""`openmm vault`: keys of venues in a file sealed with a passphrase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from openmm.cli.output import EXIT_DONE, Json, emit
from openmm.errors import VaultError

if TYPE_CHECKING:
    from openmm.config.keys import Keys

EXAMPLE = "Example: openmm vault add kraken"
INIT_EXAMPLE = "Example: openmm vault init"
ADD_EXAMPLE = "Example: openmm vault add kraken --replace"
LIST_EXAMPLE = "Example: openmm vault list --json"
REMOVE_EXAMPLE = "Example: openmm vault remove kraken"
ROTATE_EXAMPLE = "Example: openmm vault rotate"
CHECK_EXAMPLE = "Example: openmm vault check --json"

Label: TypeAlias = Annotated[
    str, typer.Argument(help="Label of a venue in bots' files: its name unless told there.")
]
Place: TypeAlias = Annotated[
    Path | None,
    typer.Option("--vault", help="The vault's file.", envvar="OPENMM_VAULT", show_default=False),
]

app = typer.Typer(
    help="Keep keys of venues in a file sealed with a passphrase.\n\n"
    "Secrets are asked for at the terminal or read from standard input, a line each; they are "
    "never arguments. The passphrase: OPENMM_VAULT_PASSPHRASE_FILE, the keyring, or the terminal.",
    epilog=EXAMPLE,
    rich_markup_mode=None,
)


@app.command("init", epilog=INIT_EXAMPLE)
def init(vault: Place = None, json_: Json = False) -> int:
    """Make an empty vault. Its passphrase is asked for twice, or read from standard input."""
    from openmm.config.passphrase import stored_passphrase
    from openmm.config.vault import create_vault

    path = _place(vault)
    create_vault(path, stored_passphrase() or new_passphrase())
    emit(
        {"vault": path, "labels": []}, json_, lambda: f"made {path}\nnext: openmm vault add kraken"
    )
    return EXIT_DONE


@app.command("add", epilog=ADD_EXAMPLE)
def add(
    label: Label,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over the keys of that label.")
    ] = False,
    vault: Place = None,
    json_: Json = False,
) -> int:
    """Add the keys of a venue: key, secret, and a passphrase where its keys have one.

    Without a terminal they are read from standard input, a line each, the passphrase last.
    """
    from openmm.config.passphrase import vault_passphrase
    from openmm.config.vault import check_label, put_keys, read_labels

    path = _there(vault)
    check_label(label)
    if label in read_labels(path) and not replace:
        raise VaultError(
            f"the vault has keys of {label} already (--replace writes over them)",
            code="vault_exists",
        )
    passphrase = vault_passphrase()
    keys = asked_keys(label)
    put_keys(path, passphrase, label, keys, replace=replace)
    emit({"vault": path, "added": label}, json_, lambda: f"added the keys of {label} to {path}")
    return EXIT_DONE


@app.command("list", epilog=LIST_EXAMPLE)
def list_(vault: Place = None, json_: Json = False) -> int:
    """List the labels that have keys in the vault; needs no passphrase."""
    from openmm.config.vault import read_labels

    path = _there(vault)
    labels = list(read_labels(path))
    emit(
        {"vault": path, "labels": labels},
        json_,
        lambda: "\n".join(labels) or f"no keys in {path}\nnext: openmm vault add kraken",
    )
    return EXIT_DONE


@app.command("remove", epilog=REMOVE_EXAMPLE)
def remove(label: Label, vault: Place = None, json_: Json = False) -> int:
    """Take the keys of a label out of the vault."""
    from openmm.config.passphrase import vault_passphrase
    from openmm.config.vault import remove_keys

    path = _there(vault)
    remove_keys(path, vault_passphrase(), label)
    emit(
        {"vault": path, "removed": label},
        json_,
        lambda: f"removed the keys of {label} from {path}; at the venue they work on until deleted",
    )
    return EXIT_DONE


@app.command("rotate", epilog=ROTATE_EXAMPLE)
def rotate(vault: Place = None, json_: Json = False) -> int:
    """Seal the vault under another passphrase, asked for twice or read from standard input."""
    from openmm.config.passphrase import vault_passphrase
    from openmm.config.vault import change_passphrase, read_vault

    path = _there(vault)
    before = vault_passphrase()
    read_vault(path, before)
    change_passphrase(path, before, new_passphrase())
    emit(
        {"vault": path, "rotated": True},
        json_,
        lambda: f"{path} has another passphrase now; a passphrase file or the keyring need it too",
    )
    return EXIT_DONE


@app.command("check", epilog=CHECK_EXAMPLE)
def check(vault: Place = None, json_: Json = False) -> int:
    """Open the vault: mode, owner, passphrase, nothing changed since, and the form of each key."""
    from openmm.config.keys import check_text
    from openmm.config.passphrase import vault_passphrase
    from openmm.config.vault import read_vault

    path = _there(vault)
    entries = read_vault(path, vault_passphrase())
    for label, keys in entries.items():
        for name in ("key", "secret", "passphrase"):
            check_text(f"{label}.{name}", getattr(keys, name))
    labels = sorted(entries)
    emit(
        {"vault": path, "good": True, "labels": labels},
        json_,
        lambda: f"{path} is sound; keys of: {', '.join(labels) or 'none yet'}",
    )
    return EXIT_DONE


def asked_keys(label: str) -> Keys:
    """Ask for a label's keys at the terminal, or read them from standard input."""
    from openmm.config.keys import Keys
    from openmm.config.schema import WITH_PASSPHRASE
    from openmm.undumped import keep_to_itself

    keep_to_itself()
    wanted = ["API key", "API secret"]
    if any(label == venue or label.startswith(f"{venue}-") for venue in WITH_PASSPHRASE):
        wanted.append("passphrase of the key")
    if sys.stdin.isatty():
        texts = [typer.prompt(f"{label}: {what}", hide_input=True, err=True) for what in wanted]
    else:
        texts = [sys.stdin.readline().rstrip("\r\n") for _ in range(3)]
    return Keys(*(text.strip() for text in texts))


def new_passphrase() -> str:
    """Ask twice for a new passphrase, or read it from standard input."""
    from openmm.undumped import keep_to_itself

    keep_to_itself()
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    told: str = typer.prompt(
        "New passphrase of the vault", hide_input=True, confirmation_prompt=True, err=True
    )
    return told


def _place(vault: Path | None) -> Path:
    from openmm.config.vault import vault_path

    path = vault or vault_path()
    if path is None:
        raise VaultError("OPENMM_VAULT is empty: there is no vault", code="no_vault")
    return path.expanduser().absolute()


def _there(vault: Path | None) -> Path:
    path = _place(vault)
    if not path.exists():
        raise VaultError(f"there is no vault yet (openmm vault init): {path}", code="no_vault")
    return path
