"""What the suites of text worlds have in common: the words with which a planner is sent into one."""

GOAL = (
    "Carry out the task that `world` shows at the beginning. Act in it with `world_act`, one command "
    "after the other, until the task is done; then answer `done`."
)
