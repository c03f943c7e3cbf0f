"""The pair of keys of the simulator's application link (OAuth 1.0a, RSA-SHA1).

It is published with this package, so it protects nothing: it opens a simulator on this very machine and nothing else.
Never enter its public half in a real Bitbucket: anybody can sign in its name.
"""

from __future__ import annotations

#: PEM, PKCS#8. Fixed, so that a project can be set up for the simulator before it runs.
SIMULATOR_RSA_KEY = """\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCxZAZv+ibkSKqv
4XhyeoCMsx0ZLV3/Tk1j8ErWTxwpOrUMH+bvBJ12PRW+bWPMvHl1MKsLoOB0MDhH
jZugY5iUwFTT+910Eanqwzr+qhsOF/+a1cevbRFLXxsIAb6thtj9csz9dSCXtltW
+/ML3BR1beFeuoX3QekVMtvbbBvtVPwklPbWv7/WpOFzFHfqFLcaE4pWcekpdaFi
wtGYC8oVyIBzjxmOm0ZT9fhOc9vMLwxXdo0R7+Z8y3BUEqImG6qqot5sSiT+LLq5
WqIP1wf6KXcAnAXGnAqZTEjh3cVpPpIzMMmTNs1RO+wanX5iMOzYNWyfuOA+ToSA
pt5kUAfJAgMBAAECggEAIrWvOsboSD/dwidskX3d3GoJtgz1+QhBxV3VzuRQ3tJh
bZtqbPdqtiGSuR2fawav/1nEBjT25lUvFfUj7/i8+NI/ZvE/7j+sj0afKwhu3c2d
UpclCPLe8PANkn4A6ORbXhBSAwAhnf3tFnKbJoVsLWQQNqBpqS1o5aB7e45GUqQ8
G8Fk5lMba0hyeAwuwK+PYD7o35aSsvzfsKurv+QsiHWGTplFTM70OmOlgIzPV+dj
fOep73Y8xbKdt5DZErxKyCt8ipNX4x8HGltw7UH1rB1Aary4Ou5ND8H2k4YaajWy
i7Nr4Bggi/d6T96EbS9uy6m6M1RaPJU0t7oaVmf7eQKBgQDrGJR/n+FUj7hu64V5
czy9/2JCOGsuF6AUAXkCAs7yZFxd9fJvtbIrYQromqzFVDB7EC8ZUR7uJHHbwsQB
JUHbBRspbtZGBkPDqYZXnWUV0lWYO8JjFr8IuUdCCiRpRLT2XyEsIuUvhSegEBbK
XOYhESLpazGL+g/syVuIXpe+DQKBgQDBKeq2Z2jZm0+1yUFCvdO6yFaGpH2RGwGC
DMlHSC5AN+8txwkdyviYmfGubUp1bhugVb1Rpz1i6SgDVzFKPa6M2ZlhXMKMGetW
FGZlmmyJiUKgUFdgE4UMiMoO7Zcfv1I0j1uYDu11HClpplp/mlTT9e+RxG7xTz7W
EBhHSgm9rQKBgDvoG48Z8pVVui2pnm2AS+4ucZ9mOQmZw5TVezxj8tAZeuAGmCyX
JDuhkuIK6BOwjFoPmbDd1v/gEZNqYf/YuptRBcbdE4Tse8AUJsOUu/l/i4grUjFl
znAuplXRt82LUIGnZBCXI8ekKqDC+MvAOHQcpcTNJ+b/Zad09/ocAJbRAoGBALk+
e6tF7JWTjpPlV8KrzVt5ORGSuiDoZz/TB0xm+oP3oFakZCfAOTwPlmkSwq9vUusm
jpK58fLjas4ZVlm+YaEOJTvr+17klH5Ovgx+VcxoaA7aPZET5yqoHC7Ix39YuXtS
aCKhXjRLN6PsNyncVbGYT5HZchPVTYt4j+/+Hu1ZAoGAOmbud28r4KHmQu7zrVQ+
kxfXrUqvpmYdmNjbVVyyaaDp/kqEwF4KKkYYXB/5yXzPdHs/uaP6/sc0ZCwSpdec
R968h2UjC8S2lSRX1ENNKYuCEC6C+D53OoTQrJUOh0iaU4l//TJGe//ErvsqR0CC
HfLYPILx2C8xYYW3fkIGQ18=
-----END PRIVATE KEY-----
"""

#: Its public half, as an administrator of a Data Center would enter it.
SIMULATOR_RSA_PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsWQGb/om5Eiqr+F4cnqA
jLMdGS1d/05NY/BK1k8cKTq1DB/m7wSddj0Vvm1jzLx5dTCrC6DgdDA4R42boGOY
lMBU0/vddBGp6sM6/qobDhf/mtXHr20RS18bCAG+rYbY/XLM/XUgl7ZbVvvzC9wU
dW3hXrqF90HpFTLb22wb7VT8JJT21r+/1qThcxR36hS3GhOKVnHpKXWhYsLRmAvK
FciAc48ZjptGU/X4TnPbzC8MV3aNEe/mfMtwVBKiJhuqqqLebEok/iy6uVqiD9cH
+il3AJwFxpwKmUxI4d3FaT6SMzDJkzbNUTvsGp1+YjDs2DVsn7jgPk6EgKbeZFAH
yQIDAQAB
-----END PUBLIC KEY-----
"""
