/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and gradients for the tests of optimizers. */
#include <math.h>
#include <string.h>

#include "optim_case.h"

optim_fixture optim_f;

/* Sizes that are no multiple of a work-group or of the padding. */
static const clef_shape shapes[OPTIM_PARAMS] = { { 1, { 5 } }, { 2, { 3, 64 } }, { 1, { 33 } } };

/* Roughly N(0, 1): the sum of twelve uniform numbers, less 6. */
float optim_random(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++) {
		optim_f.seed = optim_f.seed * 6364136223846793005u + 1442695040888963407u;
		sum += (double)(optim_f.seed >> 40) / 16777216.0;
	}
	return (float)sum;
}

void optim_setup(void)
{
	float start[OPTIM_LARGEST];
	char name[16];

	device_setup();
	memset(&optim_f, 0, sizeof(optim_f));
	optim_f.seed = 7;
	optim_f.tape = ck_new(clef_tape_new(test_device));
	optim_f.params = ck_new(clef_params_new(test_device));
	for (int i = 0; i < OPTIM_PARAMS; i++) {
		snprintf(name, sizeof(name), "w%d", i);
		optim_f.w[i] = ck_new(clef_params_add(optim_f.params, name, shapes[i], NULL));
		optim_f.n[i] = (int)clef_shape_numel(shapes[i]);
		optim_f.state[i] = (clef__optim_ref){ .n = optim_f.n[i],
						      .g = optim_f.c[i],
						      .w = optim_f.ref[i],
						      .s0 = optim_f.s[i][0],
						      .s1 = optim_f.s[i][1] };
	}
	ck_ok(clef_params_commit(optim_f.params, &(clef_rng){ .seed = 1 }));
	for (int i = 0; i < OPTIM_PARAMS; i++) {
		for (int k = 0; k < optim_f.n[i]; k++) {
			start[k] = optim_random();
			optim_f.ref[i][k] = (double)start[k];
		}
		ck_ok(clef_write(optim_f.w[i], start, (size_t)optim_f.n[i] * sizeof(float)));
	}
}

void optim_teardown(void)
{
	clef_params_free(optim_f.params);
	clef_tape_free(optim_f.tape);
	device_teardown();
}

/* New gradients for the parameters in the set of bits, by a backward pass. */
static void give(unsigned which, bool fresh)
{
	clef_tensor *loss = NULL;

	ck_ok(clef_tape_begin(optim_f.tape));
	for (int i = 0; i < OPTIM_PARAMS; i++) {
		clef_tensor *c, *term;

		if (!(which >> i & 1))
			continue;
		for (int k = 0; k < optim_f.n[i] && fresh; k++)
			optim_f.c[i][k] = optim_random();
		c = clef_input(optim_f.tape, &(clef_array){ CLEF_FLOAT32, shapes[i], optim_f.c[i] });
		term = clef_sum(clef_mul(optim_f.w[i], c), NULL);
		loss = loss ? clef_add(loss, term) : term;
	}
	ck_ok(clef_backward(loss));
}

void optim_gradients(unsigned which)
{
	give(which, true);
}

void optim_gradients_again(unsigned which)
{
	give(which, false);
}

void optim_compare(int step)
{
	for (int i = 0; i < OPTIM_PARAMS; i++) {
		double scale = 0, worst = 0;
		float got[OPTIM_LARGEST];

		ck_ok(clef_read(optim_f.w[i], got, (size_t)optim_f.n[i] * sizeof(float)));
		for (int k = 0; k < optim_f.n[i]; k++) {
			ck_assert(isfinite(got[k]));
			scale = fmax(scale, fabs(optim_f.ref[i][k]));
			worst = fmax(worst, fabs((double)got[k] - optim_f.ref[i][k]));
		}
		ck_assert_msg(worst <= 1e-5 * scale, "w%d after step %d: off by %g, of %g", i, step, worst, scale);
	}
}

int optim_steps(void)
{
	return test_small() ? 5 : 200;
}

uint64_t optim_launches(void)
{
	return clef_device_get_stats(test_device).launches;
}
