"""A table of many accounts on PostgreSQL, made by the server itself, and how it answers a page's queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

TABLES = {"bitbucket_auth_bitbucketaccount", "bitbucket_auth_bitbuckettoken", "auth_user"}

_FILL = """
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT '!', false, 'user' || n, '', '', '', false, true, now() FROM generate_series(1, {number}) AS n;

INSERT INTO bitbucket_auth_bitbucketaccount (user_id, provider, instance, uid, account_id, username, display_name,
    email, email_verified, avatar_url, profile_url, imported_from,
    created_at, updated_at)
SELECT id, 'default', 'bitbucket.org', '{{' || md5(username)::uuid || '}}', '557058:' || md5(username),
    substr(md5(username), 1, 8), initcap(substr(md5(username), 1, 6)) || ' Doe', username || '@example.com', true, '',
    '', '', now(), now()
FROM auth_user WHERE username LIKE 'user%' ORDER BY id;

INSERT INTO bitbucket_auth_bitbuckettoken (key, account_id, provider, instance, client_id, "grant", redirect_uri,
    sealed, token_type, scope, expires_at, version, lease, created_at, updated_at, lost_at)
SELECT 'account:' || id || ':default', id, 'default', 'bitbucket.org', 'id', 'authorization_code', '', '1.x', 'bearer',
    'account', now() + interval '50 minutes', 1, '', now(), now(), CASE WHEN id % 10000 = 0 THEN now() END
FROM bitbucket_auth_bitbucketaccount ORDER BY id;

ANALYZE auth_user, bitbucket_auth_bitbucketaccount, bitbucket_auth_bitbuckettoken;
"""


def fill(number: int) -> None:  # needs: postgresql
    """So many users, each with an account and a stored token; one of ten thousand is lost."""
    with connection.cursor() as cursor:
        for statement in filter(str.strip, _FILL.format(number=number).split(";\n")):
            cursor.execute(statement)


def queries(client: Client, url: str) -> list[str]:
    """The queries of a page, those of session, cookies and permissions too."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = client.get(url)
    assert response.status_code == 200, response.status_code
    return [query["sql"] for query in captured.captured_queries]


def plan(sql: str) -> dict[str, Any]:  # needs: postgresql
    """How PostgreSQL answers a query, with the time that it takes."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        [[found]] = cursor.fetchall()
    [top] = json.loads(found) if isinstance(found, str) else found
    assert isinstance(top, dict)
    return top


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:  # needs: postgresql
    """The steps of a plan."""
    yield node
    for below in node.get("Plans", []):
        yield from nodes(below)


def read_whole(sql: str) -> set[str]:  # needs: postgresql
    """Which of our tables a query goes through from one end to the other."""
    return {node["Relation Name"] for node in nodes(plan(sql)["Plan"]) if node["Node Type"] == "Seq Scan"} & TABLES
