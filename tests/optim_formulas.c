/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of optimizers in double precision, after the formulas of their papers and of PyTorch. */
#include <math.h>

#include "optim_case.h"

/* Of parameter i, element k: the value, its gradient with L2 decay, and three states. */
#define W  optim_f.ref[i][k]
#define S0 optim_f.m[i][k]
#define S1 optim_f.v[i][k]
#define S2 optim_f.s[i][k]

static double decay_into_gradient(int i, int k, double decay)
{
	return (double)optim_f.c[i][k] + decay * W;
}

#define EACH_ELEMENT(i, k) for (int k = 0; k < optim_f.n[i]; k++)

/* ---- the options, then the formula, of each ---- */

static const clef_sgd_opts classical = { .lr = 0.05f, .momentum = 0.9f, .dampening = 0.25f, .classical = true };
static clef_optim *make_classical(void)
{
	return clef_sgd_new(optim_f.params, &classical);
}
static void step_classical(int i, int t)
{
	(void)t;
	EACH_ELEMENT(i, k)
	{
		S0 = (double)0.9f * S0 + (double)0.05f * 0.75 * (double)optim_f.c[i][k];
		W -= S0;
	}
}

/* Sutskever's: v' = mu v - lr g at x + mu v; what is kept is y = x + mu v. */
static const clef_sgd_opts sutskever = { .lr = 0.05f, .momentum = 0.9f, .nesterov = true, .classical = true };
static clef_optim *make_sutskever(void)
{
	return clef_sgd_new(optim_f.params, &sutskever);
}
static void step_sutskever(int i, int t)
{
	(void)t;
	EACH_ELEMENT(i, k)
	{
		double x = W - (double)0.9f * S0; /* S0: his velocity */

		S0 = (double)0.9f * S0 - (double)0.05f * (double)optim_f.c[i][k];
		x += S0;
		W = x + (double)0.9f * S0;
	}
}

static const clef_sgd_opts shrunk = { .lr = 0.05f, .weight_decay = 0.1f, .decoupled = true, .maximize = true };
static clef_optim *make_shrunk(void)
{
	return clef_sgd_new(optim_f.params, &shrunk);
}
static void step_shrunk(int i, int t)
{
	(void)t;
	EACH_ELEMENT(i, k)
	W = W * (1 - (double)0.05f * (double)0.1f) + (double)0.05f * (double)optim_f.c[i][k];
}

static const clef_adagrad_opts adagrad = { .lr = 0.05f, .lr_decay = 0.01f, .accumulator = 0.1f, .weight_decay = 0.1f };
static clef_optim *make_adagrad(void)
{
	return clef_adagrad_new(optim_f.params, &adagrad);
}
static void step_adagrad(int i, int t)
{
	EACH_ELEMENT(i, k)
	{
		double g = decay_into_gradient(i, k, (double)0.1f);

		S0 = (t == 1 ? (double)0.1f : S0) + g * g;
		W -= (double)0.05f / (1 + (t - 1) * (double)0.01f) * g / (sqrt(S0) + 1e-10);
	}
}

static const clef_adadelta_opts adadelta = { .weight_decay = 0.01f };
static clef_optim *make_adadelta(void)
{
	return clef_adadelta_new(optim_f.params, &adadelta);
}
static void step_adadelta(int i, int t)
{
	double rho = (double)0.9f;

	(void)t;
	EACH_ELEMENT(i, k)
	{
		double g = decay_into_gradient(i, k, (double)0.01f), d;

		S0 = rho * S0 + (1 - rho) * g * g;
		d = sqrt(S1 + (double)1e-6f) / sqrt(S0 + (double)1e-6f) * g;
		S1 = rho * S1 + (1 - rho) * d * d;
		W -= d;
	}
}

static const clef_rmsprop_opts rmsprop = { .lr = 0.01f };
static clef_optim *make_rmsprop(void)
{
	return clef_rmsprop_new(optim_f.params, &rmsprop);
}
static void step_rmsprop(int i, int t)
{
	double alpha = (double)0.99f;

	(void)t;
	EACH_ELEMENT(i, k)
	{
		double g = (double)optim_f.c[i][k];

		S0 = alpha * S0 + (1 - alpha) * g * g;
		W -= (double)0.01f * g / (sqrt(S0) + 1e-8);
	}
}

static const clef_rmsprop_opts rmsprop_all = {
	.lr = 0.01f, .alpha = 0.9f, .momentum = 0.5f, .centered = true, .eps = 1e-3f
};
static clef_optim *make_rmsprop_all(void)
{
	return clef_rmsprop_new(optim_f.params, &rmsprop_all);
}
static void step_rmsprop_all(int i, int t)
{
	double alpha = (double)0.9f;

	(void)t;
	EACH_ELEMENT(i, k)
	{
		double g = (double)optim_f.c[i][k];

		S0 = alpha * S0 + (1 - alpha) * g * g;
		S1 = alpha * S1 + (1 - alpha) * g;
		S2 = 0.5 * S2 + g / (sqrt(S0 - S1 * S1) + (double)1e-3f);
		W -= (double)0.01f * S2;
	}
}

/* Adam's means; returns the denominator. */
static double moments(int i, int k, double g, int t, double eps)
{
	double beta1 = (double)0.9f, beta2 = (double)0.999f;

	S0 = beta1 * S0 + (1 - beta1) * g;
	S1 = beta2 * S1 + (1 - beta2) * g * g;
	return sqrt(S1 / (1 - pow(beta2, t))) + eps;
}

static const clef_adam_opts amsgrad = { .lr = 0.01f, .amsgrad = true, .weight_decay = 0.1f };
static clef_optim *make_amsgrad(void)
{
	return clef_adam_new(optim_f.params, &amsgrad);
}
static void step_amsgrad(int i, int t)
{
	EACH_ELEMENT(i, k)
	{
		moments(i, k, decay_into_gradient(i, k, (double)0.1f), t, 0);
		S2 = fmax(S2, S1);
		W -= (double)0.01f * S0 / (1 - pow((double)0.9f, t)) / (sqrt(S2 / (1 - pow((double)0.999f, t))) + 1e-8);
	}
}

static const clef_adam_opts adamw = { .lr = 0.01f };
static clef_optim *make_adamw(void)
{
	return clef_adamw_new(optim_f.params, &adamw);
}
static void step_adamw(int i, int t)
{
	EACH_ELEMENT(i, k)
	{
		W *= 1 - (double)0.01f * (double)1e-2f;
		double r = moments(i, k, (double)optim_f.c[i][k], t, 1e-8);

		W -= (double)0.01f * S0 / (1 - pow((double)0.9f, t)) / r;
	}
}

static const clef_adamax_opts adamax = { .lr = 0.01f };
static clef_optim *make_adamax(void)
{
	return clef_adamax_new(optim_f.params, &adamax);
}
static void step_adamax(int i, int t)
{
	EACH_ELEMENT(i, k)
	{
		double g = (double)optim_f.c[i][k], beta1 = (double)0.9f;

		S0 = beta1 * S0 + (1 - beta1) * g;
		S1 = fmax((double)0.999f * S1, fabs(g) + 1e-8);
		W -= (double)0.01f / (1 - pow(beta1, t)) * S0 / S1;
	}
}

static clef_optim *make_nadam(void)
{
	return clef_nadam_new(optim_f.params, NULL);
}
static void step_nadam(int i, int t)
{
	double beta1 = (double)0.9f, decay = (double)4e-3f, lr = (double)2e-3f;
	double mu = beta1 * (1 - 0.5 * pow(0.96, t * decay)), next = beta1 * (1 - 0.5 * pow(0.96, (t + 1) * decay));

	optim_f.product[i] = (t == 1 ? 1 : optim_f.product[i]) * mu;
	EACH_ELEMENT(i, k)
	{
		double g = (double)optim_f.c[i][k], r = moments(i, k, g, t, 1e-8);

		W -= lr * (1 - mu) / (1 - optim_f.product[i]) * g / r;
		W -= lr * next / (1 - optim_f.product[i] * next) * S0 / r;
	}
}

static clef_optim *make_radam(void)
{
	return clef_radam_new(optim_f.params, &(clef_radam_opts){ .lr = 0.01f });
}
static void step_radam(int i, int t)
{
	double beta2 = (double)0.999f, most = 2 / (1 - beta2) - 1;
	double length = most - 2 * t * pow(beta2, t) / (1 - pow(beta2, t)), rect = 1;

	if (length > 5)
		rect = sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length));
	EACH_ELEMENT(i, k)
	{
		double u;

		moments(i, k, (double)optim_f.c[i][k], t, 0);
		u = S0 / (1 - pow((double)0.9f, t));
		if (length > 5)
			u *= rect * sqrt(1 - pow(beta2, t)) / (sqrt(S1) + 1e-8);
		W -= (double)0.01f * u;
	}
}

static clef_optim *make_rprop(void)
{
	return clef_rprop_new(optim_f.params, &(clef_rprop_opts){ .step_max = 0.05f });
}
static void step_rprop(int i, int t)
{
	EACH_ELEMENT(i, k)
	{
		double g = (double)optim_f.c[i][k], turn = g * S0;

		if (t == 1)
			S1 = (double)1e-2f;
		S1 *= turn > 0 ? (double)1.2f : turn < 0 ? 0.5 : 1;
		S1 = fmin(fmax(S1, (double)1e-6f), (double)0.05f);
		S0 = turn < 0 ? 0 : g;
		W -= S1 * (S0 > 0 ? 1 : S0 < 0 ? -1 : 0);
	}
}

static clef_optim *make_asgd(void)
{
	return clef_asgd_new(optim_f.params, &(clef_asgd_opts){ .lr = 0.05f, .lambd = 0.01f, .t0 = 10 });
}
static void step_asgd(int i, int t)
{
	double lambd = (double)0.01f, lr = (double)0.05f, eta = lr / pow(1 + lambd * lr * (t - 1), 0.75);

	EACH_ELEMENT(i, k)
	{
		W = W * (1 - lambd * eta) - eta * (double)optim_f.c[i][k];
		S0 += (W - S0) / fmax(1, t - 1 - 10);
	}
}

static clef_optim *make_lion(void)
{
	return clef_lion_new(optim_f.params, &(clef_lion_opts){ .lr = 1e-3f, .weight_decay = 0.1f });
}
static void step_lion(int i, int t)
{
	(void)t;
	EACH_ELEMENT(i, k)
	{
		double g = (double)optim_f.c[i][k], c = (double)0.9f * S0 + (1 - (double)0.9f) * g;

		W = W * (1 - (double)1e-3f * (double)0.1f) - (double)1e-3f * (c > 0 ? 1 : -1);
		S0 = (double)0.99f * S0 + (1 - (double)0.99f) * g;
	}
}

static clef_optim *make_lars(void)
{
	return clef_lars_new(optim_f.params, &(clef_lars_opts){ .lr = 0.5f, .trust = 0.02f, .weight_decay = 0.1f });
}
static void step_lars(int i, int t)
{
	double w = 0, g = 0, ratio;

	(void)t;
	EACH_ELEMENT(i, k)
	{
		w += W * W;
		g += (double)optim_f.c[i][k] * (double)optim_f.c[i][k];
	}
	ratio = (double)0.02f * sqrt(w) / (sqrt(g) + (double)0.1f * sqrt(w) + 1e-8);
	EACH_ELEMENT(i, k)
	{
		S0 = (double)0.9f * S0 + 0.5 * ratio * decay_into_gradient(i, k, (double)0.1f);
		W -= S0;
	}
}

static clef_optim *make_lamb(void)
{
	return clef_lamb_new(optim_f.params, &(clef_lamb_opts){ .lr = 0.01f, .weight_decay = 0.1f });
}
static void step_lamb(int i, int t)
{
	double w = 0, u = 0;

	EACH_ELEMENT(i, k)
	{
		double r = moments(i, k, (double)optim_f.c[i][k], t, (double)1e-6f);

		S2 = S0 / (1 - pow((double)0.9f, t)) / r + (double)0.1f * W;
		w += W * W;
		u += S2 * S2;
	}
	EACH_ELEMENT(i, k)
	W -= (double)0.01f * sqrt(w / u) * S2;
}

static clef_optim *make_adafactor(void)
{
	return clef_adafactor_new(optim_f.params, &(clef_adafactor_opts){ .lr = 0.02f, .weight_decay = 0.1f });
}
/* S0: the statistics of rows, or of elements; S1: of columns; S2: the direction. */
static void step_adafactor(int i, int t)
{
	int n = optim_f.n[i], rows = optim_f.rows[i], columns = rows ? n / rows : n;
	double share = pow(t, (double)-0.8f), lr = (double)0.02f, size = 0, u = 0, mean = 0, eps = pow(2, -23), far;
	double row[OPTIM_LARGEST] = { 0 }, column[OPTIM_LARGEST] = { 0 };

	EACH_ELEMENT(i, k)
	{
		double g = (double)optim_f.c[i][k];

		size += W * W;
		row[rows ? k / columns : k] += rows ? g * g / columns : g * g;
		column[k % columns] += g * g / (rows ? rows : 1);
	}
	for (int k = 0; k < (rows ? rows : n); k++)
		S0 += share * (row[k] - S0);
	for (int k = 0; k < columns; k++)
		S1 += share * (column[k] - S1);
	for (int k = 0; k < rows; k++)
		mean += S0 / rows;
	EACH_ELEMENT(i, k)
	{
		double v = rows ? optim_f.m[i][k / columns] * optim_f.v[i][k % columns] / fmax(mean, eps) : S0;

		S2 = (double)optim_f.c[i][k] / sqrt(fmax(v, eps * eps));
		u += S2 * S2;
	}
	far = fmax((double)1e-3f, sqrt(size / n)) * fmin(lr, 1 / sqrt(t)) / fmax(1, sqrt(u / n));
	EACH_ELEMENT(i, k)
	W = W * (1 - lr * (double)0.1f) - far * S2;
}

const optim_rule optim_rules[OPTIM_RULES] = {
	{ make_classical, step_classical, "w1.momentum_buffer", 1 },
	{ make_sutskever, step_sutskever, "w1.momentum_buffer", 1 },
	{ make_shrunk, step_shrunk, NULL, 1 },
	{ make_adagrad, step_adagrad, "w1.sum", 1 },
	{ make_adadelta, step_adadelta, "w1.acc_delta", 1 },
	{ make_rmsprop, step_rmsprop, "w1.square_avg", 1 },
	{ make_rmsprop_all, step_rmsprop_all, "w1.grad_avg", 1 },
	{ make_amsgrad, step_amsgrad, "w1.max_exp_avg_sq", 1 },
	{ make_adamw, step_adamw, "w1.exp_avg", 1 },
	{ make_adamax, step_adamax, "w1.exp_inf", 1 },
	{ make_nadam, step_nadam, "w1.exp_avg_sq", 1 },
	{ make_radam, step_radam, "w1.exp_avg_sq", 1 },
	{ make_rprop, step_rprop, "w1.step_size", 1 },
	{ make_asgd, step_asgd, "w1.ax", 1 },
	{ make_lion, step_lion, "w1.exp_avg", 1 },
	{ make_lars, step_lars, "w1.momentum_buffer", 3 },
	{ make_lamb, step_lamb, "w1.exp_avg_sq", 3 },
	{ make_adafactor, step_adafactor, "w1.col_var", 3 },
};
