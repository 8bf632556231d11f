"""Known vulnerabilities, licences, secrets and bill of materials of a project."""
