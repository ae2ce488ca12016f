"""What every provider keeps, ours and anybody's: cases to run from a command, from pytest or by hand.

subjects.py   a provider under test, and where it is opened
cases.py      what all keep
served.py     what those keep that speak to a server: on a fake of it
failures.py   how a server can fail, and the error that each failure is
ours.py       the providers that come with the package
run.py        a subject's cases, and running them

>>> from ops.contract import Subject, cases
>>> [str(case) for case in cases(Subject.installed("opening-hours", "are you open on Monday"))][:2]
['opening-hours|is a provider and says its name', 'opening-hours|streams pieces and then exactly one end']
"""

from ops.contract.run import Bound, cases
from ops.contract.subjects import Place, Subject, Unkept

__all__ = ["Bound", "Place", "Subject", "Unkept", "cases"]
