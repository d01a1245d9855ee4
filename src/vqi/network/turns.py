"""A network is traced by one thread at a time, and meanwhile no other one is called.

``torch.fx`` replaces ``nn.Module.__call__`` of the whole process while it traces: a network that another thread calls
then would fail, or the trace would. What OpenVINO compiled is no module, and is called at any time.
"""

from __future__ import annotations

import threading

MODULES = threading.RLock()
