"""Background and moving things of a video, apart

Wanted: a camera looks at the same place all day. I want the empty scene and, apart from it, what moves through it; the light
changes slowly, and no frame is empty.

Learned: a frame is a row. The scene, light and all, is a matrix of low rank; what moves is few pixels at a time, however
bright. `lode.rpca` takes the two apart, where a PCA smears what moves over the scene. `sparse` says in which pixels something
moved, and the certificate how well the two add up to the video.
"""
import numpy as np

import lode

# 60 frames of 24 x 32: a scene under changing light, a bright square that walks through it
rng = np.random.default_rng(0)
scene = 0.5 + rng.random((24, 32))
light = 1 + 0.3 * np.sin(np.arange(60) / 9)
background = light[:, None] * scene.ravel()
moves = np.zeros((60, 24, 32))
for t in range(60):
    moves[t, 10:14, t // 2:t // 2 + 4] = 2.0
moves = moves.reshape(60, -1)
video = background + moves

r = lode.rpca(video)
print(r.certificate)
low = (r.U * r.s) @ r.V.T
found = np.asarray(r.sparse.todense())

error = np.linalg.norm(low - background) / np.linalg.norm(background)
p = lode.pca(video, rank=1)
of_pca = np.linalg.norm(p.invert(p.scores) - background) / np.linalg.norm(background)
print(f"error of the background: {error:.1e}; of a PCA: {of_pca:.1e}")
assert error < 1e-3 < of_pca
assert np.array_equal(np.abs(found) > 0.1, moves != 0)  # the pixels that moved, all of them and no others
