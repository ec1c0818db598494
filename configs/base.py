"""Every key that a run has, with its default: the quick start on the UCI digits.

The other files call this one and change a few keys. Any key can be set on the command line:
`--config.objective.beta=4.0`. Lengths in epochs may be fractions; a length of 0.0 means none.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.seed = 0  # weights, data order and every noise follow from it

    config.data = data = ConfigDict()
    data.name = "digits"  # a row of vae/data/table.py, or "files" for your own
    data.dir = ""  # TFDS data directory; "" is $TFDS_DATA_DIR or ~/tensorflow_datasets
    data.path = ""  # for "files": an .npz, .npy or .csv, or a folder of pictures
    # Column of a .csv that is labels, not a feature; "": label, labels, y, class or target in any
    # letter case, where one of them is there and no coordinate; none: all columns are features.
    data.label = ""
    data.kind = ""  # for "files": binary, grey, real, counts or tokens; "": look at the numbers
    data.binarization = "dynamic"  # dynamic: fresh at every step; static: once; none
    data.validation_size = -1  # examples held out of the training set; -1: the table's choice
    data.split = 0  # number of the draw of validation and test set, where they are drawn
    data.size = 0  # a seeded subset of this many examples; 0: all
    data.per_class = 0  # training examples of each class that are kept, by data.split; 0: all
    data.image_size = 0  # resize images to this many pixels a side; 0: as they are
    data.context = ""  # seen beside x: labels, factors, array (your own), scaled; "": nothing
    data.labelled = 0  # training examples that keep their context, for m2; 0: all
    data.labelled_share = 0.1  # of the training set that they are repeated to
    data.left_out = -1  # a class that is not trained on; labels become 1 for it, 0 else; -1: none
    data.leave_items = False  # likes: train on all users without a fifth of each one's, the test
    data.standardize = False  # real vectors: by the training set's mean and standard deviation
    data.stream = False  # read batches from disk through Grain instead of holding all on the device

    config.model = model = ConfigDict()
    # vae; chain, ladder: layers of latents; top_down: layers of maps of them; vqvae: codes
    model.name = "vae"
    # Of the layer next to x in chain and ladder; at each position of a map in top_down; codes of an
    # example in vqvae, where model.dense=0 gives it as many as the convolutions' map has positions.
    model.latent_size = 10
    model.upper_sizes = (10,)  # chain, ladder: latents of the layers above the first
    model.layer_hidden = (100, 100)  # chain, ladder: widths of the networks between two layers
    model.codes = 128  # vqvae: in the codebook
    model.code_size = 16  # vqvae: numbers of a code
    model.codebook_update = "ema"  # vqvae: ema: running means of what is quantised; or gradient
    model.prior_width = 64  # vqvae: of the network that is the prior over codes
    model.prior_depth = 2
    model.regressor = ""  # mlp, of z, that predicts the context, which is then not given; "": none
    model.classifier = ""  # m2, supervised: mlp, conv or resnet, of x, for the labels; "": none
    model.groups = (1, 1)  # top_down: groups of latents of each level, the finest first
    model.encoder = "mlp"  # mlp, gated_mlp, conv, resnet; gru: of tokens, the decoder by steps
    model.decoder = "mlp"
    # diagonal, full_covariance; by flows: iaf, planar, radial, sylvester_householder,
    # sylvester_orthogonal, sylvester_triangular; von_mises_fisher, with prior sphere.
    model.posterior = "diagonal"
    model.prior = "normal"  # mixture, vamp; by flows: realnvp, spline; autoregressive
    model.prior_components = 50  # mixture: Gaussians; vamp: pseudo-inputs
    model.flow_layers = 4  # steps of a flow, in prior and posterior
    model.flow_hidden = (64,)  # widths of its networks: iaf, realnvp, spline, autoregressive
    model.flow_bins = 8  # spline: bins of [-5, 5]
    model.flow_columns = 0  # sylvester_orthogonal: columns of Q; 0: as many as latents
    model.flow_reflections = 4  # sylvester_householder: reflections that make Q
    # For binary data: bernoulli, multinomial; for grey: discretized_logistic, categorical,
    # discretized_logistic_mixture, continuous_bernoulli; for grey and real: gaussian_fixed,
    # gaussian_learned, gaussian_per_pixel, laplace; for counts: multinomial, negative_binomial,
    # zero_inflated_negative_binomial; for tokens: categorical_tokens.
    model.likelihood = "bernoulli"
    model.sigma = 1.0  # Gaussians, laplace: the standard deviation, or where it starts
    model.mixtures = 5  # discretized_logistic_mixture: components of a pixel
    model.hidden = (200, 200)  # mlp: widths from data to latents, mirrored back; (): linear
    model.filters = (32, 64)  # conv, resnet: channels of each level; a level halves the resolution
    model.blocks = 1  # resnet: residual blocks a level
    model.dense = 256  # conv, resnet: width of the layer between the image and the latents; 0: none
    model.activation = "silu"
    model.dropout = 0.0
    model.word_dropout = 0.0  # decoder gru: of the ids that it is given before each
    model.input_dropout = 0.0  # of what the encoder sees: 0.5 in Mult-VAE
    model.dtype = "float32"  # of the networks' products: float32 or bfloat16; the rest is float32

    config.objective = objective = ConfigDict()
    objective.name = "elbo"  # docs/objectives.md says what each minimises
    objective.beta = 1.0
    objective.beta_schedule = "constant"  # linear: warm-up from 0; cyclical: repeated warm-ups
    objective.beta_epochs = 0.0  # length of the warm-up, or of one cycle
    objective.gamma = 1000.0  # capacity: weight of the distance from it
    objective.capacity = 25.0  # capacity: nats at the end of the ramp from 0
    objective.capacity_epochs = 0.0  # length of the ramp; 0.0: at the end from the start
    objective.samples = 1  # K: draws of z of the importance-weighted objectives
    objective.batches = 1  # M of miwae: means over M bounds of K draws each
    objective.mix = 0.5  # ciwae: mix * ELBO + (1 - mix) * IWAE
    objective.alpha = 0.5  # renyi: its order; info_vae: (1 - alpha) KL
    objective.free_bits = 0.1  # nats that a group of latents may use for nothing
    objective.group_size = 1  # free_bits: latents a group
    objective.estimator = "stratified"  # beta_tcvae: stratified, weighted, or exact
    objective.off_diagonal = 10.0  # dip: weights of the covariance's entries
    objective.diagonal = 10.0
    objective.mmd = 10.0  # info_vae, wae: weight of the discrepancy
    objective.kernel = "imq"  # imq or rbf
    objective.decoder_penalty = 1e-3  # rae: weight of the decoder's squared weights
    objective.commitment = 0.25  # vq: weight of the encoder's distance from its codes
    objective.codebook_decay = 0.99  # vq, model.codebook_update=ema: of the running means
    objective.revive = 0.1  # the same: a code with fewer vectors a batch is put on a random one
    objective.labelled = 1.0  # m2: weight of the bound of an example whose class is known
    objective.classification = 1.0  # m2: weight of its -log q(y|x)
    objective.regression = 1.0  # property_vae: weight of the squared error of what is predicted
    objective.tc = 10.0  # factor_vae: weight of the total correlation
    objective.critic_hidden = (1000, 1000, 1000, 1000, 1000, 1000)  # factor_vae: its discriminator
    objective.critic_learning_rate = 1e-4

    config.optimizer = optimizer = ConfigDict()
    optimizer.name = "adam"  # adam, adamw, adamax, nadam, rmsprop, sgd, lion
    optimizer.learning_rate = 2e-3
    optimizer.schedule = "cosine"  # constant; cosine: to 0 at the end; iwae: 8 stages of 3^i epochs
    optimizer.warmup_epochs = 0.0
    optimizer.b1 = 0.9  # momentum
    optimizer.b2 = 0.999  # of the squares; rmsprop's decay
    optimizer.eps = 1e-8
    optimizer.weight_decay = 0.0  # decoupled; kernels only, biases do not decay
    optimizer.clip_norm = 0.0  # bound on the gradient's norm; 0.0: none
    optimizer.skip_norm = 0.0  # a step with a larger gradient is bad (train.skip_steps); 0.0: none

    config.train = train = ConfigDict()
    train.epochs = 200
    train.batch_size = 100
    train.parallel = "auto"  # jit: one device; pmap: all; auto: pmap if there are several
    train.ema = 0.0  # decay of the averaged weights that are evaluated; 0.0: none
    train.eval_epochs = 10.0  # between validations; each is also a checkpoint
    train.patience = 0  # early stopping: validations without a better ELBO; 0: never
    train.skip_steps = 0  # bad (non-finite) steps in a row that are skipped before the run gives up
    train.wandb = ""  # Weights & Biases project; "": none

    config.eval = evaluation = ConfigDict()
    evaluation.split = "test"
    evaluation.checkpoint = "best"  # by validation ELBO at beta = 1; or last
    evaluation.batch_size = 100
    evaluation.iwae_samples = (100,)  # one nll_iwae_K metric for each K
    evaluation.elbo_samples = 10  # draws of z an example for elbo and distortion
    # Groups of metrics beside the bounds: aggregate, ais, bdmc, gaps, disentanglement, probes,
    # samples, anomaly, recommendation (docs/evaluation.md).
    evaluation.metrics = ()
    evaluation.codes = 10_000  # disentanglement, probes: most examples whose codes are used
    evaluation.samples = 10_000  # samples: as many, beside as many of the split
    evaluation.extractor = ""  # samples: of features: module:function, pixels; "": trained here
    evaluation.ais_examples = 100  # ais, bdmc, gaps: the first of the split, or drawn of the model
    evaluation.ais_temperatures = 1000  # between the prior and the posterior
    evaluation.ais_chains = 16  # an example
    evaluation.ais_leapfrogs = 10  # of a transition
    evaluation.ais_schedule = "sigmoid"  # or linear
    evaluation.ais_batch_size = 100  # examples that a device holds at a time
    evaluation.local_steps = 1000  # gaps: of the optimisation of each example's own posterior
    evaluation.local_draws = 10  # gaps: of z a step
    evaluation.active_threshold = 0.01  # variance over data of a posterior mean (Burda et al. 2015)
    evaluation.metric = "elbo"  # what a search optimises, on the validation set
    return config.lock()
