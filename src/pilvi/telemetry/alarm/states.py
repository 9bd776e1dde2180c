"""The life of an alarm. Its state is observed, never worked at: an evaluation, an event or its owner says what it is now.

Source: Alarming API v2 (Aodh), "Alarm states".
"""
from __future__ import annotations

from pilvi.core.state import Machine, Verb

OK, ALARM, UNKNOWN = "ok", "alarm", "insufficient data"
STATES = (OK, ALARM, UNKNOWN)

MACHINE = Machine("alarm", set(STATES), verbs=[
    #     verb       may start in      busy word       ends in
    Verb("raise",   {OK, UNKNOWN},    "raising",      ALARM),
    Verb("settle",  {ALARM, UNKNOWN}, "settling",     OK),
    Verb("lose",    {OK, ALARM},      "losing sight", UNKNOWN),
])
ACTIONS_OF = {OK: "ok_actions", ALARM: "alarm_actions", UNKNOWN: "insufficient_data_actions"}
