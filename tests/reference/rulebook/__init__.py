"""The exchange once more, written from its rules alone: slow, obvious, and without a line of `exness`.

Fractions instead of scaled integers, a search through everything instead of an index, one state that is changed in
place. Events, commands and figures are plain data, so that it can be held against anything that tells the same story.
Money is micro-USDC, prices are scaled by the asset's decimals, leverage and percent are hundredths, rates are integers
of 1e-8, times microseconds.

`rules` holds what is configured, `formulas` the arithmetic of one position, `commands` what can be asked, `book` the
state and what everybody looks up, `checks` the guards that several commands share, then one file for each kind of
command, `ticks` the order of one tick and what time brings, and `exchange` the door.
"""
