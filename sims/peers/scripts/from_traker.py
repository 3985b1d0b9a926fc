"""Compute the scores of traker: TRAK on the CPU, with and without its ridge penalty and random projection."""

import torch
from problem import Run, main
from trak import TRAKer
from trak.modelout_functions import AbstractModelOutput
from trak.projectors import BasicProjector, NoOpProjector, ProjectionType


def trak(truth, batch, projection, lambda_reg):
    """Return the scores (train, query) for the margins of the queries."""

    class Margin(AbstractModelOutput):
        def __init__(self):
            pass

        @staticmethod
        def get_output(model, weights, buffers, image, label):
            output = torch.func.functional_call(model, (weights, buffers), image.unsqueeze(0))
            if truth.classes:
                return truth.margins(output, label.unsqueeze(0)).sum()
            return ((2.0 * label - 1.0) * output[0]).sum()

        def get_out_to_loss_grad(self, model, weights, buffers, batch):
            output = torch.func.functional_call(model, (weights, buffers), batch[0])
            if truth.classes:
                own = output.softmax(dim=1).gather(1, batch[1][:, None])
            else:
                own = ((2.0 * batch[1] - 1.0) * output).sigmoid()
            return (1.0 - own).clone().detach()

    model, projector = truth.network("float32"), None
    if projection == "none":
        projector = NoOpProjector(grad_dim=truth.n_params, proj_dim=truth.n_params, seed=0, proj_type="normal", device="cpu")
    elif projection is not None:
        projector = BasicProjector(
            grad_dim=truth.n_params,
            proj_dim=projection,
            seed=0,
            proj_type=ProjectionType.rademacher,
            device="cpu",
            dtype=torch.float32,
        )
    penalty = {"0": 0.0, "N l2 / P": truth.n * truth.penalty / truth.n_params}[lambda_reg]
    traker = TRAKer(
        model,
        Margin(),
        truth.n,
        device="cpu",
        projector=projector,
        use_half_precision=False,
        lambda_reg=penalty,
        logging_level=40,
    )
    X, y, X_query, y_query = truth.data("float32")
    traker.load_checkpoint(model.state_dict(), model_id=0)
    step = batch or truth.n
    for k in range(0, truth.n, step):
        traker.featurize(batch=[X[k : k + step], y[k : k + step]], num_samples=len(X[k : k + step]))
    traker.finalize_features()
    traker.start_scoring_checkpoint("queries", model.state_dict(), model_id=0, num_targets=truth.m)
    traker.score(batch=[X_query, y_query], num_samples=truth.m)
    return traker.finalize_scores("queries")


PROMISE = (
    "The ell_2 (ridge) regularization penalty added to the XTX term in score computers when computing the matrix inverse "
    "(XTX)^{-1}. Defaults to 0.",
    "docstring of TRAKer, lambda_reg",
)

main(
    "traker",
    [
        Run("TRAKer", trak, {"batch": batch, "projection": projection, "lambda_reg": penalty}, "margin of the label", *PROMISE)
        for batch, projection, penalty in (
            (None, "none", "N l2 / P"),
            (4, "none", "N l2 / P"),
            (None, "none", "0"),
            (None, 2048, "N l2 / P"),
            (None, 2048, "0"),
            (None, None, "0"),
        )
    ],
    ("logistic_spector", "two_moons_converged"),
)
