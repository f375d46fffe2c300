import torch

from guidance import weighting
from guidance.mv_sds import MultiViewSDS, rescale_std
from guidance.sds import SDS


def test_x0_form_is_sds_with_weight_sigma_over_alpha(gaussian_prior, conditions, images, fresh_rng):
    prior = gaussian_prior(std=0.5, n_view=1)
    outputs, gradients = [], []
    for guidance in (
        MultiViewSDS(prior, scale=7.5, rescale=0.0),
        SDS(prior, scale=7.5, weighting=weighting.reconstruction),
    ):
        outputs.append(guidance(images, conditions(8, 1.0, 0.0), fresh_rng()))
        gradients.append(torch.autograd.grad(outputs[-1].loss, images)[0])
    torch.testing.assert_close(outputs[0].t, outputs[1].t)
    torch.testing.assert_close(outputs[0].x0, outputs[1].x0)
    torch.testing.assert_close(outputs[0].loss, outputs[1].loss)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_an_object_that_the_prior_is_certain_of_gets_no_gradient(gaussian_prior, conditions, images, fresh_rng):
    certain = torch.full_like(images, 0.3).requires_grad_()
    output = MultiViewSDS(gaussian_prior(std=0.0, n_view=4), rescale=0.0)(certain, conditions(8, 0.3, 0.3), fresh_rng())
    output.loss.backward()
    assert certain.grad.abs().max() < 1e-9


def test_the_gradient_is_the_distance_to_x0_over_the_batch(gaussian_prior, conditions, images, fresh_rng):
    prior = gaussian_prior(std=0.5, n_view=4)
    output = MultiViewSDS(prior)(images, conditions(8, 1.0, 0.0), fresh_rng())
    output.loss.backward()
    torch.testing.assert_close(images.grad, (images - prior.decode(output.x0)).detach() / 8)
    assert not output.x0.requires_grad


def test_views_of_an_object_share_their_timestep_and_objects_do_not(gaussian_prior, conditions, images, fresh_rng):
    first, second = MultiViewSDS(gaussian_prior(std=0.5, n_view=4))(
        images, conditions(8, 1.0, 0.0), fresh_rng()
    ).t.split(4)
    assert first.unique().numel() == second.unique().numel() == 1
    assert first[0] != second[0]


def test_the_same_generator_gives_the_same_loss(gaussian_prior, conditions, images, fresh_rng):
    guidance = MultiViewSDS(gaussian_prior(std=0.5, n_view=4))
    losses = [guidance(images, conditions(8, 1.0, 0.0), fresh_rng()).loss.item() for _ in range(2)]
    assert losses[0] == losses[1]


def test_full_rescale_gives_each_object_the_joint_std_of_the_conditional():
    guided, cond = torch.randn(2, 8, 4, 5, 5, dtype=torch.float64)
    rescaled = rescale_std(9 * guided, cond, phi=1.0, n_view=4)
    objects, wanted = rescaled.unflatten(0, (2, 4)).flatten(1), cond.unflatten(0, (2, 4)).flatten(1)
    torch.testing.assert_close(objects.std(dim=1), wanted.std(dim=1))


def test_rescale_is_one_factor_for_all_views_of_an_object():
    guided, cond = torch.randn(2, 8, 4, 5, 5, dtype=torch.float64)
    first, second = (rescale_std(guided, cond, phi=0.5, n_view=4) / guided).split(4)
    for factor in (first, second):
        torch.testing.assert_close(factor, factor[:1, :1, :1, :1].expand_as(factor))
    assert not torch.isclose(first[0, 0, 0, 0], second[0, 0, 0, 0])


def test_no_rescale_changes_nothing():
    guided, cond = torch.randn(2, 4, 4, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(rescale_std(guided, cond, phi=0.0, n_view=4), guided)


def test_a_whole_batch_can_share_its_timestep(gaussian_prior, conditions, images, fresh_rng):
    guidance = MultiViewSDS(gaussian_prior(std=0.5, n_view=4), one_t="batch")
    assert guidance(images, conditions(8, 1.0, 0.0), fresh_rng()).t.unique().numel() == 1
