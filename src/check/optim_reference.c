/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of optimizers in double precision, after the formulas of their papers and of PyTorch. Each knows the
 * options of its row by heart: what an optimizer makes of a text is checked with it.
 */
#include <math.h>

#include "optim_reference.h"

/* Of element k of p: the value, its gradient, and three states. */
#define W  p->w[k]
#define G  ((double)p->g[k])
#define S0 p->s0[k]
#define S1 p->s1[k]
#define S2 p->s2[k]

/* The gradient with L2 decay. */
static double with_decay(const clef__optim_ref *p, int k, double decay)
{
	return G + decay * W;
}

/* ---- two with options: their variants are many ---- */

/* torch.optim.SGD, as its documentation has it; S0 is the momentum buffer. */
void clef__optim_ref_sgd(clef__optim_ref *p, const clef_sgd_opts *o, double lr)
{
	for (int k = 0; k < p->n; k++) {
		double g = with_decay(p, k, (double)o->weight_decay), momentum = (double)o->momentum;

		if (momentum > 0) {
			S0 = p->t > 1 ? momentum * S0 + (1 - (double)o->dampening) * g : g;
			g = o->nesterov ? g + momentum * S0 : S0;
		}
		W -= lr * g;
	}
}

/* torch.optim.Adam. */
void clef__optim_ref_adam(clef__optim_ref *p, const clef_adam_opts *o, double lr)
{
	double beta1 = o->beta1 > 0 ? (double)o->beta1 : (double)0.9f;
	double beta2 = o->beta2 > 0 ? (double)o->beta2 : (double)0.999f;
	double eps = o->eps > 0 ? (double)o->eps : 1e-8;

	for (int k = 0; k < p->n; k++) {
		double g = with_decay(p, k, (double)o->weight_decay), m, v;

		S0 = beta1 * S0 + (1 - beta1) * g;
		S1 = beta2 * S1 + (1 - beta2) * g * g;
		m = S0 / (1 - pow(beta1, p->t));
		v = S1 / (1 - pow(beta2, p->t));
		W -= lr * m / (sqrt(v) + eps);
	}
}

/* ---- the rules ---- */

static void step_sgd(clef__optim_ref *p)
{
	clef__optim_ref_sgd(p, &(clef_sgd_opts){ 0 }, (double)0.05f);
}

static void step_sgd_momentum(clef__optim_ref *p)
{
	clef__optim_ref_sgd(p, &(clef_sgd_opts){ .momentum = 0.9f, .dampening = 0.5f, .weight_decay = 0.01f },
			    (double)0.05f);
}

static void step_sgd_nesterov(clef__optim_ref *p)
{
	clef__optim_ref_sgd(p, &(clef_sgd_opts){ .momentum = 0.9f, .nesterov = true }, (double)0.05f);
}

static void step_adam(clef__optim_ref *p)
{
	clef__optim_ref_adam(p, &(clef_adam_opts){ .weight_decay = 0.1f }, (double)0.02f);
}

static void step_sgd_classical(clef__optim_ref *p)
{
	for (int k = 0; k < p->n; k++) {
		S0 = (double)0.9f * S0 + (double)0.05f * 0.75 * G;
		W -= S0;
	}
}

/* Sutskever's: v' = mu v - lr g at x + mu v; what is kept is y = x + mu v. */
static void step_sgd_sutskever(clef__optim_ref *p)
{
	for (int k = 0; k < p->n; k++) {
		double x = W - (double)0.9f * S0; /* S0: his velocity */

		S0 = (double)0.9f * S0 - (double)0.05f * G;
		x += S0;
		W = x + (double)0.9f * S0;
	}
}

static void step_sgd_decoupled(clef__optim_ref *p)
{
	for (int k = 0; k < p->n; k++)
		W = W * (1 - (double)0.05f * (double)0.1f) + (double)0.05f * G;
}

static void step_adagrad(clef__optim_ref *p)
{
	int t = p->t;

	for (int k = 0; k < p->n; k++) {
		double g = with_decay(p, k, (double)0.1f);

		S0 = (t == 1 ? (double)0.1f : S0) + g * g;
		W -= (double)0.05f / (1 + (t - 1) * (double)0.01f) * g / (sqrt(S0) + 1e-10);
	}
}

static void step_adadelta(clef__optim_ref *p)
{
	double rho = (double)0.9f;

	for (int k = 0; k < p->n; k++) {
		double g = with_decay(p, k, (double)0.01f), d;

		S0 = rho * S0 + (1 - rho) * g * g;
		d = sqrt(S1 + (double)1e-6f) / sqrt(S0 + (double)1e-6f) * g;
		S1 = rho * S1 + (1 - rho) * d * d;
		W -= d;
	}
}

static void step_rmsprop(clef__optim_ref *p)
{
	double alpha = (double)0.99f;

	for (int k = 0; k < p->n; k++) {
		double g = G;

		S0 = alpha * S0 + (1 - alpha) * g * g;
		W -= (double)0.01f * g / (sqrt(S0) + 1e-8);
	}
}

static void step_rmsprop_centered(clef__optim_ref *p)
{
	double alpha = (double)0.9f;

	for (int k = 0; k < p->n; k++) {
		double g = G;

		S0 = alpha * S0 + (1 - alpha) * g * g;
		S1 = alpha * S1 + (1 - alpha) * g;
		S2 = 0.5 * S2 + g / (sqrt(S0 - S1 * S1) + (double)1e-3f);
		W -= (double)0.01f * S2;
	}
}

/* Adam's means; returns the denominator. */
static double moments(clef__optim_ref *p, int k, double g, double eps)
{
	double beta1 = (double)0.9f, beta2 = (double)0.999f;

	S0 = beta1 * S0 + (1 - beta1) * g;
	S1 = beta2 * S1 + (1 - beta2) * g * g;
	return sqrt(S1 / (1 - pow(beta2, p->t))) + eps;
}

static void step_adam_amsgrad(clef__optim_ref *p)
{
	int t = p->t;

	for (int k = 0; k < p->n; k++) {
		moments(p, k, with_decay(p, k, (double)0.1f), 0);
		S2 = fmax(S2, S1);
		W -= (double)0.01f * S0 / (1 - pow((double)0.9f, t)) / (sqrt(S2 / (1 - pow((double)0.999f, t))) + 1e-8);
	}
}

static void step_adamw(clef__optim_ref *p)
{
	int t = p->t;

	for (int k = 0; k < p->n; k++) {
		W *= 1 - (double)0.01f * (double)1e-2f;
		double r = moments(p, k, G, 1e-8);

		W -= (double)0.01f * S0 / (1 - pow((double)0.9f, t)) / r;
	}
}

static void step_adamax(clef__optim_ref *p)
{
	int t = p->t;

	for (int k = 0; k < p->n; k++) {
		double g = G, beta1 = (double)0.9f;

		S0 = beta1 * S0 + (1 - beta1) * g;
		S1 = fmax((double)0.999f * S1, fabs(g) + 1e-8);
		W -= (double)0.01f / (1 - pow(beta1, t)) * S0 / S1;
	}
}

static void step_nadam(clef__optim_ref *p)
{
	int t = p->t;
	double beta1 = (double)0.9f, decay = (double)4e-3f, lr = (double)2e-3f;
	double mu = beta1 * (1 - 0.5 * pow(0.96, t * decay)), next = beta1 * (1 - 0.5 * pow(0.96, (t + 1) * decay));

	p->product = (t == 1 ? 1 : p->product) * mu;
	for (int k = 0; k < p->n; k++) {
		double g = G, r = moments(p, k, g, 1e-8);

		W -= lr * (1 - mu) / (1 - p->product) * g / r;
		W -= lr * next / (1 - p->product * next) * S0 / r;
	}
}

static void step_radam(clef__optim_ref *p)
{
	int t = p->t;
	double beta2 = (double)0.999f, most = 2 / (1 - beta2) - 1;
	double length = most - 2 * t * pow(beta2, t) / (1 - pow(beta2, t)), rect = 1;

	if (length > 5)
		rect = sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length));
	for (int k = 0; k < p->n; k++) {
		double u;

		moments(p, k, G, 0);
		u = S0 / (1 - pow((double)0.9f, t));
		if (length > 5)
			u *= rect * sqrt(1 - pow(beta2, t)) / (sqrt(S1) + 1e-8);
		W -= (double)0.01f * u;
	}
}

static void step_rprop(clef__optim_ref *p)
{
	int t = p->t;

	for (int k = 0; k < p->n; k++) {
		double g = G, turn = g * S0;

		if (t == 1)
			S1 = (double)1e-2f;
		S1 *= turn > 0 ? (double)1.2f : turn < 0 ? 0.5 : 1;
		S1 = fmin(fmax(S1, (double)1e-6f), (double)0.05f);
		S0 = turn < 0 ? 0 : g;
		W -= S1 * (S0 > 0 ? 1 : S0 < 0 ? -1 : 0);
	}
}

static void step_asgd(clef__optim_ref *p)
{
	int t = p->t;
	double lambd = (double)0.01f, lr = (double)0.05f, eta = lr / pow(1 + lambd * lr * (t - 1), 0.75);

	for (int k = 0; k < p->n; k++) {
		W = W * (1 - lambd * eta) - eta * G;
		S0 += (W - S0) / fmax(1, t - 1 - 10);
	}
}

static void step_lion(clef__optim_ref *p)
{
	for (int k = 0; k < p->n; k++) {
		double g = G, c = (double)0.9f * S0 + (1 - (double)0.9f) * g;

		W = W * (1 - (double)1e-3f * (double)0.1f) - (double)1e-3f * (c > 0 ? 1 : -1);
		S0 = (double)0.99f * S0 + (1 - (double)0.99f) * g;
	}
}

static void step_lars(clef__optim_ref *p)
{
	double w = 0, g = 0, ratio;

	for (int k = 0; k < p->n; k++) {
		w += W * W;
		g += G * G;
	}
	ratio = (double)0.02f * sqrt(w) / (sqrt(g) + (double)0.1f * sqrt(w) + 1e-8);
	for (int k = 0; k < p->n; k++) {
		S0 = (double)0.9f * S0 + 0.5 * ratio * with_decay(p, k, (double)0.1f);
		W -= S0;
	}
}

static void step_lamb(clef__optim_ref *p)
{
	int t = p->t;
	double w = 0, u = 0;

	for (int k = 0; k < p->n; k++) {
		double r = moments(p, k, G, (double)1e-6f);

		S2 = S0 / (1 - pow((double)0.9f, t)) / r + (double)0.1f * W;
		w += W * W;
		u += S2 * S2;
	}
	for (int k = 0; k < p->n; k++)
		W -= (double)0.01f * sqrt(w / u) * S2;
}

/* Of the gradients of `count` elements from k, `stride` apart. */
static double mean_square(const clef__optim_ref *p, int k, int stride, int count)
{
	double sum = 0;

	for (int i = 0; i < count; i++, k += stride)
		sum += G * G / count;
	return sum;
}

/* S0: the statistics of rows, or of elements; S1: of columns; S2: the direction. */
static void step_adafactor(clef__optim_ref *p)
{
	int t = p->t;
	int n = p->n, rows = p->rows, columns = rows ? n / rows : n;
	double share = pow(t, (double)-0.8f), lr = (double)0.02f, size = 0, u = 0, mean = 0, eps = pow(2, -23), far;

	for (int k = 0; k < n; k++)
		size += W * W;
	for (int k = 0; k < (rows ? rows : n); k++)
		S0 += share * (mean_square(p, rows ? k * columns : k, 1, rows ? columns : 1) - S0);
	for (int k = 0; k < columns && rows; k++)
		S1 += share * (mean_square(p, k, columns, rows) - S1);
	for (int k = 0; k < rows; k++)
		mean += S0 / rows;
	for (int k = 0; k < p->n; k++) {
		double v = rows ? p->s0[k / columns] * p->s1[k % columns] / fmax(mean, eps) : S0;

		S2 = G / sqrt(fmax(v, eps * eps));
		u += S2 * S2;
	}
	far = fmax((double)1e-3f, sqrt(size / n)) * fmin(lr, 1 / sqrt(t)) / fmax(1, sqrt(u / n));
	for (int k = 0; k < p->n; k++)
		W = W * (1 - lr * (double)0.1f) - far * S2;
}

const clef__optim_rule_row clef__optim_rules[CLEF__OPTIM_RULES] = {
#define ROW(name, optimizer, state) { #name, optimizer, state, step_##name },
	CLEF__OPTIM_RULE_MAP(ROW)
};
