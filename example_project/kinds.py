"""The four kinds of Bitbucket that the site can be run with, and what differs for somebody who signs in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One of them. Paths are those of Bitbucket, below its context path."""

    name: str
    #: Where a person is asked, and where codes (in OAuth 1.0a: request tokens) become access tokens.
    authorize: str
    token: str
    #: Where the simulated one lies: a Data Center may share its host with other programs.
    context_path: str = ""
    #: What the person of the walk is called there, and what the site makes of their address.
    user_name: str = "jdoe"
    address: str = "confirmed"
    #: What the scheduled job is given: a workspace, or the key of a project.
    project: str = "acme"
    #: What the environment has to say of the real one.
    variables: tuple[str, ...] = ("BITBUCKET_CLIENT_ID", "BITBUCKET_CLIENT_SECRET")

    @property
    def is_data_center(self) -> bool:
        return self.name.startswith("data-center")

    @property
    def is_oauth1(self) -> bool:
        """It signs requests. Nothing is renewed, and an application has no tokens of its own."""
        return self.name.endswith("-oauth1")


def _data_center(name: str, authorize: str, token: str, proof: str) -> Kind:
    return Kind(
        name,
        authorize,
        token,
        context_path="/bitbucket",
        user_name="jane.doe@example.com",
        address="trusted",
        project="ACME",
        variables=("BITBUCKET_BASE_URL", "BITBUCKET_CLIENT_ID", proof),
    )


KINDS = {
    kind.name: kind
    for kind in (
        Kind("cloud", "/site/oauth2/authorize", "/site/oauth2/access_token"),
        Kind("cloud-oauth1", "/api/1.0/oauth/authenticate/", "/api/1.0/oauth/access_token/"),
        _data_center(
            "data-center",
            "/rest/oauth2/latest/authorize",
            "/rest/oauth2/latest/token",
            "BITBUCKET_CLIENT_SECRET",
        ),
        _data_center(
            "data-center-oauth1",
            "/plugins/servlet/oauth/authorize",
            "/plugins/servlet/oauth/access-token",
            "BITBUCKET_RSA_KEY",
        ),
    )
}
