"""What the workflows in `.github/` run: previews, the drift check, the comment on a pull request, the drift issue.

Not called `github`: PyGithub installs a package of that name. GitHub is called through `requests`, which preflight pins
already: nine calls, three of which write; a client library would bring more code than it saves.
"""
