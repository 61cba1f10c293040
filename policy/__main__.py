"""Started by the engine for `pulumi preview --policy-pack policy`, in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

# The engine runs the folder, so what is on the path is the folder itself and not its parent.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy import pack

pack.serve()
