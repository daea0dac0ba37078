"""What an officer does with a task, and how soon."""

EN_ROUTE, AT_SCENE = 5, 6
RECEIVED_AFTER_S, CONSUMED_AFTER_S = 0.5, 2.0
TASK_ANSWERS = ((4.0, EN_ROUTE), (14.0, AT_SCENE))
