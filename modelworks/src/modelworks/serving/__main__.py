"""``python -m modelworks.serving --host 127.0.0.1 --port 8000`` serves the prediction API of a project's folder."""

import argparse
import sys

from modelworks.access import check_opening
from modelworks.errors import PipelineError
from modelworks.settings import load_settings


def main() -> None:
    """Start the API, unless it would be open to the network without a key."""
    parser = argparse.ArgumentParser(prog="python -m modelworks.serving", description="Serve the prediction API.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default=8000, type=int)
    given = parser.parse_args()
    try:
        check_opening(load_settings(), given.host)
        # Not at the top: a refusal should not wait for the imports.
        import uvicorn

        from modelworks.serving import create_app

        app = create_app()
    except PipelineError as error:
        sys.exit(f"error: {error}")
    uvicorn.run(app, host=given.host, port=given.port, access_log=False)


if __name__ == "__main__":
    main()
