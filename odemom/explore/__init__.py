"""The page behind ``odemom explore``: a matrix and a flow, what holds of them, and pictures.

From the question to the screen: `question` reads what the fields of the page hold, `answer`
computes, `words` and the pictures (`plane`, `line`, `paths`) say and draw it, `server` hands it to
a browser, through `desk`, which stops what takes too long. All but the last two are pure functions.
"""
