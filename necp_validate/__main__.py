"""``python -m necp_validate``."""

from necp_validate.cli.app import main

if __name__ == "__main__":
    main()
