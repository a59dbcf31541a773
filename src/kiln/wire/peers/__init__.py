"""Processes of one deployment that ask each other for what only the host of an instance knows.

    api process                                    process of the host
      Asking  -- TLS, each proves who it is -->      Answering -> machines, agents, plane
              -- one line of JSON: a question -->
              <-- one line of JSON: an answer --
      Lines   <-- what a console shows, piece by piece --
              -- what is typed -->

A connection is for one question, for one console, or for one guest that comes (``passage``). Nothing is read of who
does not prove to be of the deployment, and nothing is asked of who does not prove to be the process that the
database names.
"""
