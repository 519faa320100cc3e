"""Addresses are told without what opens doors."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from openmm.address import without_password, without_path


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("sqlite:////var/lib/o@home/store.sqlite", "sqlite:////var/lib/o@home/store.sqlite"),
        ("store.sqlite", "store.sqlite"),
        ("postgresql+psycopg://ann:pw@db:5432/mm", "postgresql+psycopg://ann@db:5432/mm"),
        ("postgresql+psycopg://ann@db/mm?sslmode=require",
         "postgresql+psycopg://ann@db/mm?sslmode=require"),
        ("postgresql+psycopg://ann:p@w@/mm?host=/run/pg", "postgresql+psycopg://ann@/mm?host=/run/pg"),
        ("postgresql+psycopg:///mm?user=ann&password=pw&host=db",
         "postgresql+psycopg:///mm?user=ann&host=db"),
        ("postgresql+psycopg://ann:p/w@db/mm", "postgresql+psycopg://…"),
        ("postgresql+psycopg://ann:p#w@db/mm", "postgresql+psycopg://…"),
        ("postgresql+psycopg://[::1/mm", "postgresql+psycopg://…"),
    ],
)  # fmt: skip
def test_address_is_told_without_its_password(address: str, told: str) -> None:
    assert without_password(address) == told


@given(password=st.text("abcdefXYZ0189:/@#?&%+= ", min_size=9, max_size=20))
def test_no_password_is_told(password: str) -> None:
    url = sa.URL.create("postgresql+psycopg", "ann", password, "db", 5432, "mm")
    told = without_password(url.render_as_string(hide_password=False))
    assert sa.make_url(told).password is None
    assert sa.make_url(told).set(password=password) == url
    # Written by hand, unescaped.
    assert password not in without_password(f"postgresql+psycopg://ann:{password}@db/mm")


def test_webhook_is_told_by_its_host() -> None:
    assert without_path("https://hooks.example.com:8443/T0/secret?k=1") == (
        "https://hooks.example.com:8443"
    )
