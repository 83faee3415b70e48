"""The messages of the server: sign-in, rights and refused requests."""

from __future__ import annotations

OPERATOR_NONE = "Operator sign-in is off on this server: the environment variable PARLEY_OPERATOR_PASSWORD is not set."
OPERATOR_COOKIE = "Signing in needs cookies, and your browser does not accept them. Allow them and reload the page."
OPERATOR_SLOWLY = "Too many wrong passwords. Wait a minute, then try again."
OPERATOR_WRONG = "Wrong password."
OPERATOR_ONLY = "Only the operator can do this. Sign in with the operator password in the Models tab."
METRICS_REFUSED = "Metrics are visible only to the operator, or with the metrics token.\n"
