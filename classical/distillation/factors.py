"""Factor transfer: the student imitates a compact code of the teacher's features."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss, normalize

from classical.distillation.features import ChannelMap, FeatureLoss, aligned, features
from classical.training import Loss, classification


class Factors(FeatureLoss):
    """Distance between normalized factors of the teacher (paraphraser) and student (translator).

    Kim, Park and Kwak, "Paraphrasing Complex Network: Network Compression via Factor Transfer"
    (arXiv:1802.04977). Theirs are three convolutions each, and the paraphraser is trained before;
    here they are linear maps of the channels, and the paraphraser learns to reconstruct the
    teacher's features meanwhile, untouched by the student's error.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        layers: tuple[str, str],
        example: Tensor,
        rate: float = 0.5,
        weight: float = 1.0,
        base: Loss = classification,
    ) -> None:
        """As `Hints`, for one pair of layers.

        Args:
            teacher, student: networks, the second for its sizes.
            layers: names of the student's layer and of the teacher's.
            example: of the inputs.
            rate: channels of the factors over those of the teacher.
            weight: of the factors' distance.
            base: what it is added to.
        """
        super().__init__(teacher, dict([layers]), weight, base)
        own = features(student, layers[:1], example)[layers[0]]
        taught = features(self.teacher, layers[1:], example)[layers[1]]
        channels = max(1, round(rate * taught.shape[1]))
        self.translator = ChannelMap(own, channels)
        self.paraphraser = ChannelMap(taught, channels)
        self.reconstruction = ChannelMap(self.paraphraser(taught), taught.shape[1])

    def compare(self, layer: str, student: Tensor, teacher: Tensor) -> Tensor:
        code = self.paraphraser(teacher)
        own, taught = aligned(self.translator(student), code.detach())
        distance = l1_loss(normalize(own.flatten(1)), normalize(taught.flatten(1)))
        # The weight is the student's alone: a large one would let the paraphraser diverge.
        return distance + mse_loss(self.reconstruction(code), teacher) / self.weight
