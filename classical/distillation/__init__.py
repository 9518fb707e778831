"""Knowledge distillation: students learn from teachers, peers or themselves (lecture 9).

Every method is a loss of `classical.training.train`:

    train(student, data, loss=Logits(teacher))
    train(student, data, loss=AttentionMaps(teacher, {"block1": "stage2"}, base=Logits(teacher)))

Teachers are copied and frozen; what a loss learns besides the student it keeps for itself.
"""

from classical.distillation.factors import Factors
from classical.distillation.features import AttentionMaps, FeatureLoss, Hints, Relations
from classical.distillation.logits import Logits, soft_divergence
from classical.distillation.netaug import NetAug
from classical.distillation.online import MutualLearning, SelfDistillation

__all__ = [
    "AttentionMaps",
    "Factors",
    "FeatureLoss",
    "Hints",
    "Logits",
    "MutualLearning",
    "NetAug",
    "Relations",
    "SelfDistillation",
    "soft_divergence",
]
