"""A teacher with fixed statistics beside a student in training (mean teacher, https://arxiv.org/abs/1703.01780).

Both are the same network. The student trains, and its batch norms update their running statistics. The teacher is in
evaluation mode: its weights are a moving average of the student's, and a hundred calls change no bit of its statistics.
Then the student runs each forward pass twice, as activation checkpointing does, with the momentum that corrects it.

    python examples/frozen_teacher.py                           # needs only NumPy
    python examples/frozen_teacher.py --out frozen_teacher.png  # needs matplotlib
"""

import argparse

import numpy as np

import normcy

STEPS, KEEP = 100, 0.9


class Network:
    """Two linear layers, each with a batch norm and a ReLU."""

    def __init__(self, rng, momentum=0.1):
        shapes = (16, 8), (16, 16)
        self.weights = [rng.standard_normal(shape, dtype=np.float32) / np.sqrt(shape[1]) for shape in shapes]
        self.weights = [weight.astype(np.float32) for weight in self.weights]
        self.norms = [normcy.BatchNorm(16, momentum=momentum, activation="relu") for _ in shapes]

    def __call__(self, x):
        for weight, norm in zip(self.weights, self.norms, strict=True):
            x = norm(x @ weight.T)
        return x

    def train(self, mode=True):
        for norm in self.norms:
            norm.train(mode)
        return self

    def state_dict(self):
        """Copies of all arrays: the state dict of a layer holds the layer's own, which go on changing."""
        state = {f"fc{i}.weight": weight.copy() for i, weight in enumerate(self.weights)}
        for i, norm in enumerate(self.norms):
            state |= {key: array.copy() for key, array in norm.state_dict(prefix=f"bn{i}.").items()}
        return state

    def load_state_dict(self, state):
        for i, (weight, norm) in enumerate(zip(self.weights, self.norms, strict=True)):
            weight[...] = state[f"fc{i}.weight"]
            norm.load_state_dict(state, prefix=f"bn{i}.")


def statistics(network):
    """The running means and variances of all layers in one new array."""
    return np.concatenate([part for norm in network.norms for part in (norm.running_mean, norm.running_var)])


def follow(teacher, student):
    """Updates the teacher's weights, a moving average of the student's, and leaves its statistics."""
    pairs = list(zip(teacher.weights, student.weights, strict=True))
    for mine, theirs in zip(teacher.norms, student.norms, strict=True):
        pairs += [(mine.weight, theirs.weight), (mine.bias, theirs.bias)]
    for own, new in pairs:
        own *= KEEP
        own += (1 - KEEP) * new


def train(student, teacher, data, forwards=1):
    """Steps of training, with random updates of the weights in place of gradients.

    Returns the statistics of both networks after each step.
    """
    rng = np.random.default_rng(1)
    history = []
    for x in data:
        teacher(x)
        for _ in range(forwards):  # checkpointing runs the forward pass again during the backward pass
            student(x)
        for weight in student.weights:
            weight += 0.01 * rng.standard_normal(weight.shape, dtype=np.float32)
        follow(teacher, student)
        history.append((statistics(student), statistics(teacher)))
    return [np.array(of_network) for of_network in zip(*history, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="FILE", help="write the figure here")
    out = parser.parse_args().out
    rng = np.random.default_rng(0)
    data = [2 + rng.standard_normal((64, 8), dtype=np.float32) for _ in range(STEPS)]
    start = Network(rng)
    start(data[0])
    first = start.state_dict()

    def network(momentum=0.1):
        made = Network(np.random.default_rng(2), momentum)
        made.load_state_dict(first)
        return made

    student, teacher = network(), network().train(False)
    once, fixed = train(student, teacher, data)
    changed = np.abs(once[-1] - statistics(start)).max()
    print(f"in {STEPS} steps the student's statistics have changed by up to {changed:.2f}, no bit of the teacher's has")
    assert changed > 0.5
    assert np.all(fixed == statistics(start))
    assert all(norm.num_batches_tracked == 1 for norm in teacher.norms)
    assert all(norm.num_batches_tracked == 1 + STEPS for norm in student.norms)
    check_weights(student, teacher, start)
    twice = check_checkpointing(network, data, once)
    check_copies(student, network(), data[0])
    if out:
        draw(once, fixed, twice, out)


def check_weights(student, teacher, start):
    """The teacher's weights are nearer to the student's than those at the start."""
    distance = [np.abs(other.weights[0] - student.weights[0]).mean() for other in (teacher, start)]
    print(f"the student's weights differ by {distance[1]:.3f} from the start and {distance[0]:.3f} from the teacher's")
    assert distance[0] < distance[1]


def check_checkpointing(network, data, once):
    """Two passes have the statistics of one with the corrected momentum only: returns their distance at each step."""
    distances = {}
    for name, momentum in (("uncorrected", 0.1), ("corrected", normcy.checkpoint_momentum(0.1, times=2))):
        student = network(momentum)
        twice, _ = train(student, network().train(False), data, forwards=2)
        distances[name] = np.abs(twice - once).max(1)
        print(f"two passes with momentum {momentum:.4f} ({name}): differ from one by {distances[name][-1]:.1e}")
    last = {name: distance[-1] for name, distance in distances.items()}
    # Each step has two updates of three roundings, and the average has the weight of about 1 / 0.05 updates.
    assert last["corrected"] < 60 * 2.0**-24 * np.abs(once[-1]).max()
    assert last["uncorrected"] > 1000 * last["corrected"]
    return distances


def check_copies(student, copied, x):
    """A copy by state dict computes the same bits, and shares no array with the original."""
    copied.load_state_dict(student.state_dict())
    assert np.array_equal(student.train(False)(x), copied.train(False)(x))
    copied.train()(x)
    assert not np.array_equal(statistics(student), statistics(copied))
    print("a copy by state_dict gives the same bits, and shares no array with the original")


def draw(once, fixed, twice, out):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    steps = np.arange(1, STEPS + 1)
    channel = np.abs(once[-1] - fixed[-1]).argmax()  # the one that changes most
    left.plot(steps, once[:, channel], label="student")
    left.plot(steps, fixed[:, channel], "--", label="teacher")
    left.set(title="a running statistic", xlabel="step")
    left.legend()
    for (name, distance), line in zip(twice.items(), ("-", "--"), strict=True):
        right.plot(steps, distance, line, label=f"{name} momentum")
    right.set(title="two passes: distance from one", xlabel="step", yscale="log")
    right.legend()
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
