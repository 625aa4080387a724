"""psi(theta) from three things: theta, the mass eps and the initial velocity. It knows no flow.

The problem is eps x'' + x' = theta x on [0, 1], x(0) = x0, with x'(0) = 0, or x'(0) = theta x0
where ``field`` is true. eps is in [0, inf]: 0 stands for x' = theta x, and inf for x'' = theta x.
Horizons, names of models, thresholds and checks of arguments are in `odemom.flows`.

====================  =======================================================================
`coefficients`        Taylor coefficients in theta; `eps_derivatives`, their derivatives
`plans`               degree, step and number of doublings for a given size of theta, by `bounds`
`nested`              polynomials in one or two products fewer
`doubling`            from one step to the whole interval, over any algebra of matrices
`double`              psi in double precision; `small`, of one small matrix, some in extended
`triangular`          the diagonals of a triangular theta in extended precision
`scaled`              psi times a power of two, beyond the range of doubles; `scaled_derivative`
`derivative`          psi together with its Fréchet derivatives
`chebyshev`           psi(theta) X for symmetric theta; `taylor_steps`, for any theta;
                      `rational_krylov`, by solves, for a stiff one
`named_methods`       the textbook forms: `closed_form`, `series_form`, `companion`
`scalar`              psi of numbers
====================  =======================================================================
"""
