/* SPDX-License-Identifier: Apache-2.0 */
/* Every family, once: X(linear) stands for `const clef__family clef__family_linear` in a file check_*.c. */
#ifndef CLEF_FAMILIES_H
#define CLEF_FAMILIES_H

#include "problem.h"

/* Behind the pointwise operations, in the order of a report. */
/* clang-format off */
#define CLEF__FAMILY_MAP(X) \
	X(prelu) \
	X(activate) \
	X(add_act) \
	X(linear) \
	X(linear_act) \
	X(matmul) \
	X(matmul_trans) \
	X(conv2d) \
	X(conv1d) \
	X(conv_transpose2d) \
	X(conv_transpose1d) \
	X(batch_norm) \
	X(layer_norm) \
	X(rms_norm) \
	X(group_norm) \
	X(instance_norm) \
	X(local_response_norm) \
	X(max_pool2d) \
	X(max_pool1d) \
	X(avg_pool2d) \
	X(avg_pool1d) \
	X(adaptive_max_pool2d) \
	X(adaptive_max_pool1d) \
	X(adaptive_avg_pool2d) \
	X(adaptive_avg_pool1d) \
	X(sum) \
	X(mean) \
	X(max) \
	X(min) \
	X(argmax) \
	X(argmin) \
	X(var) \
	X(std) \
	X(norm) \
	X(logsumexp) \
	X(topk) \
	X(softmax) \
	X(log_softmax) \
	X(reshape) \
	X(flatten) \
	X(permute) \
	X(transpose) \
	X(cat) \
	X(stack) \
	X(slice) \
	X(split) \
	X(pad) \
	X(expand) \
	X(gather) \
	X(index_select) \
	X(embedding) \
	X(upsample) \
	X(pixel_shuffle) \
	X(pixel_unshuffle) \
	X(dropout) \
	X(dropout2d) \
	X(bernoulli) \
	X(augment) \
	X(cross_entropy) \
	X(cross_entropy_with) \
	X(nll_loss) \
	X(mse_loss) \
	X(l1_loss) \
	X(smooth_l1_loss) \
	X(huber_loss) \
	X(bce_loss) \
	X(bce_with_logits_loss) \
	X(kl_div) \
	X(hinge_embedding_loss) \
	X(margin_ranking_loss) \
	X(cosine_embedding_loss) \
	X(cosine_similarity) \
	X(accuracy) \
	X(topk_accuracy) \
	X(random) \
	X(init) \
	X(optim) \
	X(train)
/* clang-format on */

#define CLEF__FAMILY(name)                                   extern const clef__family clef__family_##name;
#define CLEF_UNARY0(name, NAME, value, gradient)             CLEF__FAMILY(name)
#define CLEF_UNARY1(name, NAME, p, d, value, gradient)       CLEF__FAMILY(name)
#define CLEF_UNARY2(name, NAME, p, d, q, e, value, gradient) CLEF__FAMILY(name)
#define CLEF_BINARY(name, value, da, db)                     CLEF__FAMILY(name)
#include <clef/pointwise.def>
CLEF__FAMILY_MAP(CLEF__FAMILY)
#undef CLEF__FAMILY

#endif
