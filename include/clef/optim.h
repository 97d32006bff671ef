/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimizers (torch.optim). An optimizer updates a set of parameters from their gradients: one kernel launch a step,
 * whatever the number of parameters and groups; LARS, LAMB and Adafactor, which need norms, and clipping by the norm
 * take two more each, Adafactor two to five. Learning rates that change are in schedule.h.
 *
 * A parameter that no clef_backward() has reached since the last step is left alone with its state, as PyTorch does
 * with a gradient of None; so is one that no longer requires a gradient.
 *
 * The set of parameters must be committed and not empty. NULL for options means all defaults, which are PyTorch's; so
 * does a 0 in a field with a default, and -0.0f is a zero that is meant. An option out of range is ERROR_INVALID, and
 * the message names it, its value and the range.
 *
 * In the formulas w is a value, g its gradient, lr the learning rate and t = 1, 2, ... the step of that parameter.
 * Before the rule, all of them do this:
 *
 *   maximize               g = -g
 *   weight_decay           g = g + weight_decay * w (L2), or with `decoupled` w = w - lr * weight_decay * w
 */
#ifndef CLEF_OPTIM_H
#define CLEF_OPTIM_H

#include <clef/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clef_optim clef_optim;

/* ---- rules ---- */

typedef struct clef_sgd_opts {
	float lr;           /* > 0; default 1e-3 */
	float momentum;     /* 0 <= momentum < 1 */
	float dampening;    /* 0 <= dampening <= 1 */
	float weight_decay; /* >= 0 */
	bool nesterov;      /* needs momentum, and dampening 0 */
	bool classical;     /* the learning rate is part of the velocity */
	bool decoupled, maximize;
} clef_sgd_opts;

/*
 * v = momentum v + (1 - dampening) g, at the first step v = g; w -= lr v, or with nesterov w -= lr (g + momentum v).
 * Without momentum w -= lr g. torch.optim.SGD.
 *
 * `classical` is the form of Polyak 1964 and of Sutskever and others 2013, in which a velocity is a distance:
 * v = momentum v + lr (1 - dampening) g; w -= v. It differs from PyTorch's only when lr changes: there the new rate
 * rescales the whole velocity at once, here it applies to new gradients. With nesterov w -= momentum v + lr g, which is
 * Sutskever's v' = momentum v - lr grad(w + momentum v), w' = w + v', written for the point w + momentum v at which he
 * takes the gradient: that is what w holds, in both forms.
 */
CLEF_API clef_optim *clef_sgd_new(clef_params *params, const clef_sgd_opts *opts);

typedef struct clef_adagrad_opts {
	float lr;           /* > 0; default 1e-2 */
	float lr_decay;     /* >= 0 */
	float accumulator;  /* >= 0; what s starts with */
	float eps;          /* > 0; default 1e-10 */
	float weight_decay; /* >= 0 */
	bool decoupled, maximize;
} clef_adagrad_opts;

/* Duchi and others 2011. s = s + g^2; w -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps). torch.optim.Adagrad. */
CLEF_API clef_optim *clef_adagrad_new(clef_params *params, const clef_adagrad_opts *opts);

typedef struct clef_adadelta_opts {
	float lr;           /* > 0; default 1 */
	float rho;          /* 0 <= rho < 1; default 0.9 */
	float eps;          /* > 0; default 1e-6 */
	float weight_decay; /* >= 0 */
	bool decoupled, maximize;
} clef_adadelta_opts;

/* Zeiler 2012. s = rho s + (1 - rho) g^2; d = sqrt(a + eps) / sqrt(s + eps) g; a = rho a + (1 - rho) d^2; w -= lr d.
 * torch.optim.Adadelta. */
CLEF_API clef_optim *clef_adadelta_new(clef_params *params, const clef_adadelta_opts *opts);

typedef struct clef_rmsprop_opts {
	float lr;           /* > 0; default 1e-2 */
	float alpha;        /* 0 <= alpha < 1; default 0.99 */
	float eps;          /* > 0; default 1e-8 */
	float momentum;     /* 0 <= momentum < 1 */
	float weight_decay; /* >= 0 */
	bool centered, decoupled, maximize;
} clef_rmsprop_opts;

/* Tieleman and Hinton 2012; centered: Graves 2013. s = alpha s + (1 - alpha) g^2; r = sqrt(s) + eps, or centered
 * m = alpha m + (1 - alpha) g, r = sqrt(s - m^2) + eps; w -= lr g / r, or with momentum
 * b = momentum b + g / r, w -= lr b. torch.optim.RMSprop. */
CLEF_API clef_optim *clef_rmsprop_new(clef_params *params, const clef_rmsprop_opts *opts);

typedef struct clef_adam_opts {
	float lr;           /* > 0; default 1e-3 */
	float beta1;        /* 0 <= beta1 < 1; default 0.9 */
	float beta2;        /* 0 <= beta2 < 1; default 0.999 */
	float eps;          /* > 0; default 1e-8 */
	float weight_decay; /* >= 0; default of clef_adamw_new() 1e-2 */
	bool amsgrad, decoupled, maximize;
} clef_adam_opts;

/* Kingma and Ba 2015. m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
 * w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps); amsgrad (Reddi and others 2018): the largest v so far
 * in place of v. torch.optim.Adam. */
CLEF_API clef_optim *clef_adam_new(clef_params *params, const clef_adam_opts *opts);

/* Loshchilov and Hutter 2019: Adam with `decoupled`, whatever opts says. torch.optim.AdamW. */
CLEF_API clef_optim *clef_adamw_new(clef_params *params, const clef_adam_opts *opts);

typedef struct clef_adamax_opts {
	float lr;           /* > 0; default 2e-3 */
	float beta1;        /* 0 <= beta1 < 1; default 0.9 */
	float beta2;        /* 0 <= beta2 < 1; default 0.999 */
	float eps;          /* > 0; default 1e-8 */
	float weight_decay; /* >= 0 */
	bool decoupled, maximize;
} clef_adamax_opts;

/* Kingma and Ba 2015. m as Adam's; u = max(beta2 u, |g| + eps); w -= lr / (1 - beta1^t) m / u. torch.optim.Adamax. */
CLEF_API clef_optim *clef_adamax_new(clef_params *params, const clef_adamax_opts *opts);

typedef struct clef_nadam_opts {
	float lr;             /* > 0; default 2e-3 */
	float beta1;          /* 0 <= beta1 < 1; default 0.9 */
	float beta2;          /* 0 <= beta2 < 1; default 0.999 */
	float eps;            /* > 0; default 1e-8 */
	float momentum_decay; /* >= 0; default 4e-3 */
	float weight_decay;   /* >= 0 */
	bool decoupled, maximize;
} clef_nadam_opts;

/* Dozat 2016. m and v as Adam's; mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2); p_t = mu_1 ... mu_t;
 * w -= lr ((1 - mu_t) / (1 - p_t) g + mu_(t+1) / (1 - p_(t+1)) m) / (sqrt(v / (1 - beta2^t)) + eps).
 * torch.optim.NAdam. */
CLEF_API clef_optim *clef_nadam_new(clef_params *params, const clef_nadam_opts *opts);

typedef struct clef_radam_opts {
	float lr;           /* > 0; default 1e-3 */
	float beta1;        /* 0 <= beta1 < 1; default 0.9 */
	float beta2;        /* 0 <= beta2 < 1; default 0.999 */
	float eps;          /* > 0; default 1e-8 */
	float weight_decay; /* >= 0 */
	bool decoupled, maximize;
} clef_radam_opts;

/* Liu and others 2020. m and v as Adam's; q = 2 / (1 - beta2) - 1; p = q - 2 t beta2^t / (1 - beta2^t). Where p > 5:
 * w -= lr m / (1 - beta1^t) sqrt(1 - beta2^t) / (sqrt(v) + eps) sqrt((p - 4) (p - 2) q / ((q - 4) (q - 2) p)), else
 * w -= lr m / (1 - beta1^t). torch.optim.RAdam. */
CLEF_API clef_optim *clef_radam_new(clef_params *params, const clef_radam_opts *opts);

typedef struct clef_rprop_opts {
	float lr;        /* > 0; default 1e-2: what the step sizes start with */
	float eta_minus; /* 0 < eta_minus < 1; default 0.5 */
	float eta_plus;  /* > 1; default 1.2 */
	float step_min;  /* > 0; default 1e-6 */
	float step_max;  /* >= step_min; default 50 */
	bool maximize;
} clef_rprop_opts;

/* Riedmiller and Braun 1993, without backtracking. s is multiplied with eta_plus where g has the sign of the last step,
 * with eta_minus where it has the other, and then g counts as 0; s is kept between step_min and step_max;
 * w -= s sign(g). No weight decay, and lr matters at the first step alone. torch.optim.Rprop. */
CLEF_API clef_optim *clef_rprop_new(clef_params *params, const clef_rprop_opts *opts);

typedef struct clef_asgd_opts {
	float lr;           /* > 0; default 1e-2 */
	float lambd;        /* >= 0; default 1e-4 */
	float alpha;        /* >= 0; default 0.75 */
	float t0;           /* >= 0; default 1e6 */
	float weight_decay; /* >= 0 */
	bool decoupled, maximize;
} clef_asgd_opts;

/* Polyak and Juditsky 1992. e_1 = lr, e_t = lr / (1 + lambd lr (t - 1))^alpha; w = w - lambd e_t w - e_t g;
 * a += (w - a) / max(1, t - 1 - t0). The averages a are the state "ax" of each parameter. torch.optim.ASGD, but that a
 * new lr counts at the next step, not at the one after. */
CLEF_API clef_optim *clef_asgd_new(clef_params *params, const clef_asgd_opts *opts);

typedef struct clef_lion_opts {
	float lr;           /* > 0; default 1e-4 */
	float beta1;        /* 0 <= beta1 < 1; default 0.9 */
	float beta2;        /* 0 <= beta2 < 1; default 0.99 */
	float weight_decay; /* >= 0; decoupled */
	bool maximize;
} clef_lion_opts;

/* Chen and others 2023. w -= lr sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g. */
CLEF_API clef_optim *clef_lion_new(clef_params *params, const clef_lion_opts *opts);

typedef struct clef_lars_opts {
	float lr;           /* > 0; default 1e-3 */
	float momentum;     /* 0 <= momentum < 1; default 0.9 */
	float trust;        /* > 0; default 1e-3 */
	float eps;          /* > 0; default 1e-8 */
	float weight_decay; /* >= 0 */
	bool nesterov, maximize;
} clef_lars_opts;

/* You and others 2017. For each parameter r = trust |w| / (|g| + weight_decay |w| + eps), or 1 where |w| or |g| is 0;
 * d = lr r (g + weight_decay w); v = momentum v + d; w -= v, or with nesterov w -= momentum v + d. */
CLEF_API clef_optim *clef_lars_new(clef_params *params, const clef_lars_opts *opts);

typedef struct clef_lamb_opts {
	float lr;           /* > 0; default 1e-3 */
	float beta1;        /* 0 <= beta1 < 1; default 0.9 */
	float beta2;        /* 0 <= beta2 < 1; default 0.999 */
	float eps;          /* > 0; default 1e-6 */
	float weight_decay; /* >= 0 */
	bool maximize;
} clef_lamb_opts;

/* You and others 2020. m and v as Adam's; for each parameter
 * u = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w; r = |w| / |u|, or 1 where one of them is
 * 0; w -= lr r u. */
CLEF_API clef_optim *clef_lamb_new(clef_params *params, const clef_lamb_opts *opts);

typedef struct clef_adafactor_opts {
	float lr;           /* > 0; default 1e-2 */
	float beta2_decay;  /* <= 0; default -0.8 */
	float eps1;         /* > 0; default 2^-23 */
	float eps2;         /* > 0; default 1e-3 */
	float d;            /* > 0; default 1 */
	float weight_decay; /* >= 0; decoupled */
	bool maximize;
} clef_adafactor_opts;

/* Shazeer and Stern 2018. b = t^beta2_decay; a = max(eps2, rms(w)) min(lr, 1 / sqrt(t)), of w before its decay. For
 * each matrix of the last two dimensions R += b (mean of g^2 over the columns - R), C += b (mean over the rows - C),
 * v = R C / max(mean R, eps1); with fewer dimensions v += b (g^2 - v). u = g / sqrt(max(v, eps1^2));
 * w -= a u / max(1, rms(u) / d). torch.optim.Adafactor. */
CLEF_API clef_optim *clef_adafactor_new(clef_params *params, const clef_adafactor_opts *opts);

/* ---- rules as data and as text ---- */

typedef enum clef_optim_kind {
	CLEF_OPTIM_SGD,
	CLEF_OPTIM_ADAGRAD,
	CLEF_OPTIM_ADADELTA,
	CLEF_OPTIM_RMSPROP,
	CLEF_OPTIM_ADAM,
	CLEF_OPTIM_ADAMW,
	CLEF_OPTIM_ADAMAX,
	CLEF_OPTIM_NADAM,
	CLEF_OPTIM_RADAM,
	CLEF_OPTIM_RPROP,
	CLEF_OPTIM_ASGD,
	CLEF_OPTIM_LION,
	CLEF_OPTIM_LARS,
	CLEF_OPTIM_LAMB,
	CLEF_OPTIM_ADAFACTOR,
	CLEF_OPTIM_KINDS /* the number of kinds */
} clef_optim_kind;

/* A rule and its options: those of its constructor. */
typedef struct clef_optim_opts {
	clef_optim_kind kind;
	union {
		clef_sgd_opts sgd;
		clef_adagrad_opts adagrad;
		clef_adadelta_opts adadelta;
		clef_rmsprop_opts rmsprop;
		clef_adam_opts adam; /* AdamW's too */
		clef_adamax_opts adamax;
		clef_nadam_opts nadam;
		clef_radam_opts radam;
		clef_rprop_opts rprop;
		clef_asgd_opts asgd;
		clef_lion_opts lion;
		clef_lars_opts lars;
		clef_lamb_opts lamb;
		clef_adafactor_opts adafactor;
	};
} clef_optim_opts;

/* The same as the constructor of that kind. */
CLEF_API clef_optim *clef_optim_new(clef_params *params, const clef_optim_opts *opts);

/*
 * Reads "adam", "sgd(0.1, momentum=0.9, nesterov)" or "adamw(lr=0.002, beta2=0.98)": the name of clef_NAME_new() and,
 * in brackets, fields of its options; numbers without a name are the numbers in their order, and a flag is its name
 * alone. "momentum" and "nesterov" are SGD with these, with a momentum of 0.9 unless they say another. ERROR_INVALID,
 * with the place in the text or the range, for what is no such text or no such optimizer.
 */
CLEF_API clef_status clef_optim_parse(const char *text, clef_optim_opts *opts);

/* "sgd", "adam" and so on; "optimizer?" for a value that is none. */
CLEF_API const char *clef_optim_name(clef_optim_kind kind);

/* Frees the optimizer and its state, before or after the parameters. NULL is accepted. */
CLEF_API void clef_optim_free(clef_optim *optim);

/* ---- steps ---- */

/* Updates the parameters from their gradients. ERROR_STATE when no gradient has been computed since the last step. */
CLEF_API clef_status clef_optim_step(clef_optim *optim);

/* The learning rate; >= 0 and finite. get gives NaN for NULL. */
CLEF_API float clef_optim_get_lr(const clef_optim *optim);
CLEF_API clef_status clef_optim_set_lr(clef_optim *optim, float lr);

/* ---- groups ---- */

typedef struct clef_group_opts {
	float lr_factor;    /* > 0; default 1: the group's rate is that times the optimizer's, also when that changes */
	float weight_decay; /* >= 0; default: the optimizer's; -0.0f is none */
	bool frozen;        /* no step at all */
} clef_group_opts;

/*
 * Gives the parameters whose names match the pattern options of their own: "*" stands for any characters and "?" for
 * one, and several patterns are separated by blanks or commas. No weight decay on biases and normalizations:
 *
 *   clef_optim_group(optim, "*.bias bn*.weight", &(clef_group_opts){ .weight_decay = -0.0f });
 *
 * The last call that matches a parameter counts for it. ERROR_INVALID when a pattern matches none.
 */
CLEF_API clef_status clef_optim_group(clef_optim *optim, const char *pattern, const clef_group_opts *opts);

/* ---- gradients ---- */

typedef enum clef_nonfinite {
	CLEF_NONFINITE_IGNORE, /* NaN and infinity go into the parameters */
	CLEF_NONFINITE_SKIP,   /* a step with one in a gradient changes no value and no state */
	CLEF_NONFINITE_STOP,   /* from that step on nothing is changed, until clef_optim_check() has told */
} clef_nonfinite;

typedef struct clef_gradient_opts {
	float scale;      /* > 0; default 1: gradients are first multiplied with it, say 1/4 for the mean of four
			   * micro-batches that clef_backward_add() summed up */
	float clip_value; /* > 0; then every element is put between -clip_value and clip_value; 0: not */
	float clip_norm;  /* > 0; then all gradients together are shortened to that norm if theirs is larger; 0: not */
	clef_nonfinite nonfinite;
} clef_gradient_opts;

/* What a step does with the gradients before it uses them, in the order of the fields; what clef_grad() shows is not
 * changed. The norm is over the parameters that take part in the step, as of torch.nn.utils.clip_grad_norm_(). All of
 * this happens on the device, and no step waits for it. NULL: nothing of it, as at the start. A skipped step
 * counts in t. */
CLEF_API clef_status clef_optim_gradients(clef_optim *optim, const clef_gradient_opts *opts);

/* Waits for the last step. The norm of the gradients before they were clipped by it; NaN with a message when the
 * optimizer neither clips by norm nor checks, or has made no step. */
CLEF_API double clef_optim_grad_norm(const clef_optim *optim);

/* Waits for the last step. CLEF_OK when no gradient had a NaN or infinity since the last call; else ERROR_STATE, with
 * the number of such steps in the message, and a stop is over. Without CLEF_NONFINITE_SKIP or _STOP: ERROR_STATE. */
CLEF_API clef_status clef_optim_check(clef_optim *optim);

/* ---- state: for checkpoints ----
 * What a step depends on besides options, values and gradients, as named arrays. An optimizer of the same rule and
 * options on a set of the same parameters that was given these arrays goes on to the bit. */

typedef struct clef_optim_entry {
	const char *name; /* "steps", "lr", "0.weight.exp_avg", ...; valid as long as the optimizer */
	clef_dtype dtype;
	clef_shape shape;
} clef_optim_entry;

CLEF_API int clef_optim_state_count(const clef_optim *optim);

/* Entry i, 0 <= i < count. ERROR_INVALID outside. */
CLEF_API clef_status clef_optim_state_get(const clef_optim *optim, int i, clef_optim_entry *entry);

/* The entry of that name, or -1 with a message. */
CLEF_API int clef_optim_state_find(const clef_optim *optim, const char *name);

/* Copies the values of entry i to or from host memory; `bytes` must be exactly their size. read waits. */
CLEF_API clef_status clef_optim_state_read(const clef_optim *optim, int i, void *data, size_t bytes);
CLEF_API clef_status clef_optim_state_write(clef_optim *optim, int i, const void *data, size_t bytes);

/* ---- averages of the weights ---- */

typedef struct clef_average clef_average;

/* Exponential moving averages a of all values of a committed set: at the first update a = w, then
 * a = decay a + (1 - decay) w; 0 <= decay < 1, and 0 means 0.999. torch.optim.swa_utils.AveragedModel with
 * get_ema_multi_avg_fn(decay). Free it with clef_average_free(). */
CLEF_API clef_average *clef_average_new(clef_params *params, float decay);
CLEF_API void clef_average_free(clef_average *average);

/* Takes the values in. One launch. ERROR_STATE while they are swapped. */
CLEF_API clef_status clef_average_update(clef_average *average);

/* Whether there are averages: after the first update, or when a checkpoint had some. False for NULL. */
CLEF_API bool clef_average_ready(const clef_average *average);

/* Exchanges values and averages: once before an evaluation and once after it. One launch. ERROR_STATE before the first
 * update. */
CLEF_API clef_status clef_average_swap(clef_average *average);

#ifdef __cplusplus
}
#endif

#endif
