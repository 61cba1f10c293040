"""What a change of the project would do to each environment, found out in the real engine.

    make compare BASE=main

For each environment the base's program is deployed in an embedded cloud; then the changed program is previewed and
deployed over it. The engine says what is created, updated, replaced and deleted; nothing is guessed from a text diff.

`trees` gets the two checkouts, `rehearsed` runs them, `fields` finds what differs in a resource, `impact` what it costs
the users, `model` is the result, and `markdown` writes it. No module of the program is imported: both checkouts have
modules of the same names, and the rehearsal loads each from its own.
"""
