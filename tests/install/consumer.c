/* SPDX-License-Identifier: Apache-2.0 */
/* A program outside the tree: learns XOR with an installed clef. Exits 0 when it has learnt it. */
#include <stdio.h>

#include <clef/clef.h>

static const clef_layer layers[] = { { CLEF_LINEAR, .out = 16 }, { .kind = CLEF_TANH }, { CLEF_LINEAR, .out = 2 } };

static float points[] = { 0, 0, 0, 1, 1, 0, 1, 1 };
static int32_t answers[] = { 0, 1, 1, 0 };

int main(void)
{
	const clef_array images = { CLEF_FLOAT32, CLEF_SHAPE(4, 2), points };
	const clef_array labels = { CLEF_INT32, CLEF_SHAPE(4), answers };
	clef_device *dev = clef_device_open(NULL);
	clef_tape *tape = clef_tape_new(dev);
	clef_model *model = clef_sequential_new(dev, layers, CLEF_COUNT(layers), CLEF_SHAPE(2), NULL);
	clef_optim *opt = clef_adam_new(clef_model_params(model), &(clef_adam_opts){ .lr = 0.05f });
	clef_tensor *loss;
	clef_status status = opt ? CLEF_OK : clef_error_status();
	double last = 1;

	for (int i = 0; i < 200 && !status; i++) {
		clef_tape_begin(tape);
		loss = clef_cross_entropy(clef_model_forward(model, clef_input(tape, &images)),
					  clef_input(tape, &labels));
		status = clef_backward(loss);
		if (!status)
			status = clef_optim_step(opt);
		last = clef_item(loss);
	}
	if (status)
		fprintf(stderr, "%s: %s\n", clef_status_name(status), clef_error());
	printf("clef %s, loss %.4f\n", clef_version(), last);
	clef_optim_free(opt);
	clef_model_free(model);
	clef_tape_free(tape);
	clef_device_close(dev);
	return status || !(last < 0.05);
}
