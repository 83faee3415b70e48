"""The texts of the Models tab."""

from __future__ import annotations

# the table
COLUMNS = ("Model", "State", "Size", "Memory", "Licence", "What it needs")
UNKNOWN = "not known yet"
NOT_GIVEN = "–"
PINNED = "pinned"
WAITING = "{count} waiting"
REMOTE = "none here: it runs on a remote server"
ON_DEVICE = "{size} on {device}"
IN_HOST = "{size} parked in host memory"
WILL_NEED = "{size} when loaded"
NEEDS_SERVER = "the remote server {address}"
NEEDS_GPU_TIME = "GPU time, which each negotiation gets when it starts"
NEEDS_NOTHING = "nothing: it is a fake model for tests"
UNUSABLE = "cannot be used: it {reason}"

# the operator
OPERATOR = "Operator"
OPERATOR_ABOUT = (
    "Anyone with the operator password can load, unload, pin and add models, and can see all runs in History."
)
PASSWORD = "Operator password"
SIGN_IN, SIGN_OUT = "Sign in", "Sign out"
MODEL = "Model"
LOAD, UNLOAD, PIN, UNPIN, ADD = "Load", "Unload", "Pin", "Unpin", "Add"
PICK_A_MODEL = "Pick a model first."
LOADING = "Loading {name}. The table shows its progress."
LOADED = "{name} is loaded."
HUB_ID = "Add a model by its Hub id (until the next restart)"
HUB_ID_WRONG = "A Hub id has the form owner/name, such as Qwen/Qwen3-0.6B."
LABEL = "Name on the page (optional)"
GGUF_FILE = "GGUF file (optional)"
GGUF_HINT = "name.gguf, in the repository"
TOO_LARGE = "{name} does not fit: it {reason}. Add a smaller model."
ADDED = "{name} has been added. It is downloaded when it is first used."
