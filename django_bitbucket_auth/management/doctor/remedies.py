"""What to do about an obstacle on the way, and about the mistakes that several findings have in common."""

from __future__ import annotations

from ...oauth import obstacles
from ...oauth.obstacles import Certificate, Obstacle
from .findings import Finding

BASE_URL = (
    "BASE_URL (and API_URL, if it is set) has to be the very address at which Bitbucket itself answers: https, the "
    "host, the context path if it has one. A page of a proxy, a firewall or a single sign-on in front of it is no "
    "Bitbucket: let this host past it."
)
OLD = "Use KIND='data-center-oauth1' (manage.py bitbucket_check then prints another form), or upgrade it to 7.20."
LATER = (
    "Try again in a few minutes. If it goes on, ask whoever runs this Bitbucket, or see "
    "https://bitbucket.status.atlassian.com."
)
LIMIT = "Try again within the hour. What the API is asked for by the same client comes out of the same limit."
SLOW = (
    "Ask whoever runs this Bitbucket what it waits for. If it is always that slow, raise TIMEOUT and DEADLINE, and "
    "stay below the limit of your own server."
)
UNREACHED = (
    "Try the same address with curl, on this host and as the user whom the site runs as. If that works, compare its "
    "proxy and certificates with PROXIES, CA_BUNDLE and CLIENT_CERT: the environment's REQUESTS_CA_BUNDLE isn't read."
)
PROXY_CREDENTIALS = (
    "Put them into PROXIES (http://name:password@proxy:3128), or into HTTPS_PROXY of the site's environment."
)
_PROXY = "Ask whoever runs the proxy to let this host through, or take the host out of PROXIES, or into NO_PROXY."
_FIREWALL = "Ask for this connection to be allowed by the firewall; where there is a proxy instead, name it in PROXIES."
_NAME = {
    False: (
        "Correct the host in BASE_URL or API_URL, or let this host's DNS know it. Where only a proxy knows names, set "
        "PROXIES."
    ),
    True: "Correct the host in PROXIES, or in HTTPS_PROXY of the site's environment.",
}
_REFUSED = {
    False: "Correct the port in BASE_URL or API_URL, or find out whether Bitbucket is running there.",
    True: "Correct the port in PROXIES (or HTTPS_PROXY), or find out whether the proxy is running.",
}
_UNTRUSTED = (
    "Set CA_BUNDLE to a file with the certificate of the authority that issued it, in PEM form: that of your company, "
    "or of a proxy that opens TLS. If it is a public one, the server doesn't send its intermediate certificates: that "
    "is to be corrected there."
)
_CERTIFICATE = {
    obstacles.EXPIRED: (
        "The server's certificate, or one of those between it and its authority, has to be renewed where it is "
        "installed. If they seem to be good, look at this host's clock."
    ),
    obstacles.NOT_YET_VALID: "Look at this host's clock; if that is right, a certificate was installed too early.",
    obstacles.SELF_SIGNED: "It vouches for itself. Set CA_BUNDLE to a file that holds it, in PEM form.",
    obstacles.OTHER_NAME: "Use the name in BASE_URL that the certificate is for, or have one made for this name.",
    obstacles.OTHER_ADDRESS: "Use the name in BASE_URL that the certificate is for, and not the number of the host.",
}


def of(found: Obstacle, asked: str) -> Finding:
    """The finding for an obstacle on the way to the address ``asked``."""
    who = f"the proxy {found.where}" if found.by_proxy else found.where
    code, seen, todo = {
        "name": ("name_unknown", f"the name of {who} is unknown to this host ({found.detail})", _NAME[found.by_proxy]),
        "refused": ("refused", f"{who} refuses the connection", _REFUSED[found.by_proxy]),
        "silent": ("silent", f"{who} doesn't answer", _FIREWALL),
        "unreachable": ("unreachable", f"there is no way to {who} ({found.detail})", _FIREWALL),
        "proxy_credentials": ("proxy_credentials", f"{who} wants a name and a password", PROXY_CREDENTIALS),
        "proxy_refused": ("proxy_refused", f"{who} doesn't open the way ({found.detail})", _PROXY),
        "ca_bundle": (
            "ca_bundle",
            "CA_BUNDLE can't be read, or holds no certificate",
            "Let the site's user read it, and see that it begins with -----BEGIN CERTIFICATE-----.",
        ),
        "client_cert": (
            "client_cert",
            "CLIENT_CERT can't be read, or its two halves don't belong together",
            "Let the site's user read both files: the certificate first, then its key, without a passphrase.",
        ),
        "certificate": (
            "certificate",
            f"the certificate of {who} isn't accepted: {found.detail}.{_told(found.guilty)}",
            _CERTIFICATE.get(found.number, _UNTRUSTED),
        ),
        "tls": (
            "tls",
            f"{who} breaks the TLS handshake off ({found.detail})",
            "See that the port speaks https. If the server wants to see a certificate of your site, set CLIENT_CERT.",
        ),
    }[found.kind]
    return Finding("error", code, f"{asked} is not reached: {seen.rstrip('.')}.", todo)


def _told(certificate: Certificate | None) -> str:
    if certificate is None:
        return ""
    names = f", for {', '.join(certificate.names)}" if certificate.names else ""
    return (
        f" It is about the one of {certificate.subject}{names}, issued by {certificate.issuer}, good from "
        f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    )
