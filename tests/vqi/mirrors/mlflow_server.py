"""MLflow's own server, on a free port of this machine: run by a Python that has the whole of ``mlflow``.

``python mlflow_server.py FOLDER`` prints the port when it listens. It is the application that ``mlflow server`` runs,
without that command's worker processes, which take a minute to start.
"""

import os
import sys
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from mlflow import server
from werkzeug.serving import make_server

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    os.environ[server.BACKEND_STORE_URI_ENV_VAR] = f"sqlite:///{folder}/mlflow.sqlite"
    os.environ[server.REGISTRY_STORE_URI_ENV_VAR] = f"sqlite:///{folder}/mlflow.sqlite"
    os.environ[server.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[server.ARTIFACTS_DESTINATION_ENV_VAR] = str(folder / "artifacts")
    os.environ[server.SERVE_ARTIFACTS_ENV_VAR] = "true"
    listening = make_server("127.0.0.1", 0, server.app, threaded=True)
    print(listening.server_port, flush=True)
    listening.serve_forever()
