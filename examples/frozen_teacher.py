"""A frozen teacher beside a student in training (mean teacher, https://arxiv.org/abs/1703.01780).

Both are the same network. The student trains, and its batch norms learn running statistics. The teacher evaluates: its
weights follow the student's as a moving average, and a hundred calls move none of its statistics by a bit. The student
runs every forward pass twice, as activation checkpointing does, with a momentum that makes two passes count as one.

    python examples/frozen_teacher.py      # needs only NumPy
"""

import numpy as np

import normcy

STEPS, KEEP = 100, 0.9


class Network:
    """Two linear layers, a batch norm with relu after each."""

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
        """Copies: a layer's own state dict holds its arrays, which go on changing."""
        state = {f"fc{i}.weight": weight.copy() for i, weight in enumerate(self.weights)}
        for i, norm in enumerate(self.norms):
            state |= {key: array.copy() for key, array in norm.state_dict(prefix=f"bn{i}.").items()}
        return state

    def load_state_dict(self, state):
        for i, (weight, norm) in enumerate(zip(self.weights, self.norms, strict=True)):
            weight[...] = state[f"fc{i}.weight"]
            norm.load_state_dict(state, prefix=f"bn{i}.")


def statistics(network):
    """Running means and variances, those of all layers in one array (a copy)."""
    return np.concatenate([part for norm in network.norms for part in (norm.running_mean, norm.running_var)])


def follow(teacher, student):
    """The teacher's weights as a moving average of the student's; its statistics stay its own."""
    pairs = list(zip(teacher.weights, student.weights, strict=True))
    for mine, theirs in zip(teacher.norms, student.norms, strict=True):
        pairs += [(mine.weight, theirs.weight), (mine.bias, theirs.bias)]
    for own, new in pairs:
        own *= KEEP
        own += (1 - KEEP) * new


def train(student, teacher, data, forwards=1):
    """Steps of training: forward of both, an update of the weights (a random one stands in for a gradient), EMA."""
    rng = np.random.default_rng(1)
    for x in data:
        teacher(x)
        for _ in range(forwards):  # checkpointing runs it again in the backward pass
            student(x)
        for weight in student.weights:
            weight += 0.01 * rng.standard_normal(weight.shape, dtype=np.float32)
        follow(teacher, student)


def main():
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
    train(student, teacher, data)
    moved, stayed = np.abs(statistics(student) - statistics(start)).max(), statistics(teacher) == statistics(start)
    print(f"after {STEPS} steps the student's statistics have moved by up to {moved:.2f}, the teacher's by", end=" ")
    print("not a bit" if stayed.all() else "something")
    assert moved > 0.5
    assert stayed.all()
    assert all(norm.num_batches_tracked == 1 for norm in teacher.norms)
    assert all(norm.num_batches_tracked == 1 + STEPS for norm in student.norms)
    check_weights(student, teacher, start)
    check_checkpointing(network, data, student)
    check_copies(student, network(), data[0])


def check_weights(student, teacher, start):
    """The teacher's weights lie behind: nearer to the student's than the start is."""
    distance = [np.abs(other.weights[0] - student.weights[0]).mean() for other in (teacher, start)]
    print(f"the student's weights are {distance[1]:.3f} from the start and {distance[0]:.3f} from the teacher's")
    assert distance[0] < distance[1]


def check_checkpointing(network, data, once):
    """Two passes with the corrected momentum leave the statistics of one pass; with the old one they do not."""
    away = {}
    for name, momentum in (("uncorrected", 0.1), ("corrected", normcy.checkpoint_momentum(0.1, times=2))):
        student = network(momentum)
        train(student, network().train(False), data, forwards=2)
        away[name] = np.abs(statistics(student) - statistics(once)).max()
        print(f"checkpointed, momentum {momentum:.4f} ({name}): statistics {away[name]:.1e} away from one pass each")
    size = np.abs(statistics(once)).max()
    # 2 updates of 3 roundings a step, of which the average remembers about 1 / 0.05 updates
    assert away["corrected"] < 60 * 2.0**-24 * size
    assert away["uncorrected"] > 1000 * away["corrected"]


def check_copies(student, copied, x):
    """A state dict carries everything: the copy computes the same bits, and goes its own way afterwards."""
    copied.load_state_dict(student.state_dict())
    assert np.array_equal(student.train(False)(x), copied.train(False)(x))
    copied.train()(x)
    assert not np.array_equal(statistics(student), statistics(copied))
    print("a copy by state_dict gives the same bits, and shares no array with its original")


if __name__ == "__main__":
    main()
