"""`python -m modelworks` is the project's command."""

from modelworks.cli import main

if __name__ == "__main__":
    main()
