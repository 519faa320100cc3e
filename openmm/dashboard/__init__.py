"""The web dashboard, served by the gateway.

    mount    pages in the gateway's application        feed    what bots do, read for all who watch
    fleet    the page of all bots                      calls   the door, in bounded threads
    bot      the page of one bot                       shape   what is known, as what is shown
    acts     buttons, confirmations, previews          patch   what of it changed since it was sent
    parts    pieces of pages                           words   numbers and times as text
    static   style and the script that patches pages   marks   skeletons of pages

A page is sent once; after that only the cells that changed are, as texts, never as markup: what a
venue says is shown, not run.
"""
