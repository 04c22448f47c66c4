"""Train small models on conversations, and package them for the engine of recurrent models.

Training needs the extra `recurrent`. Importing this package loads none of it.
"""

from agentflow.training.student.conversations import Conversation, Learn

__all__ = ["Conversation", "Learn"]
