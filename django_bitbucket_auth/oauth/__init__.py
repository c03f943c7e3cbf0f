"""Ring 1, the protocols: OAuth on oauthlib, HTTP on requests. Knows neither Django nor Bitbucket."""
