/* A momentum layer in floats, v <- gamma v + rest (value - x) and x <- x + v, and its gradients: of
 * the value, of x and of v, from those of x and v after it. v and `to_v` are 0 where v is 0 before
 * the layer. The bits are those of PyTorch's operations one by one. */
void NAME(moved)(I size, const REAL *value, const REAL *x, const REAL *v, double gamma, double rest,
                 REAL *out_x, REAL *out_v) {
    const REAL g = (REAL)gamma, factor = (REAL)rest;
    if (v) {
        _Pragma("omp parallel for if (size > RUN)")
        for (I j = 0; j < size; j++) {
            REAL kept = g * v[j];
            out_v[j] = (value[j] - x[j]) * factor + kept;
            out_x[j] = x[j] + out_v[j];
        }
    } else {
        _Pragma("omp parallel for if (size > RUN)")
        for (I j = 0; j < size; j++) {
            out_v[j] = (value[j] - x[j]) * factor;
            out_x[j] = x[j] + out_v[j];
        }
    }
}

void NAME(moved_back)(I size, const REAL *gx, const REAL *gv, double gamma, double rest,
                      REAL *to_value, REAL *to_x, REAL *to_v) {
    const REAL g = (REAL)gamma, factor = (REAL)rest;
    if (to_v) {
        _Pragma("omp parallel for if (size > RUN)")
        for (I j = 0; j < size; j++) {
            REAL total = gx[j] + gv[j];
            to_value[j] = factor * total;
            to_x[j] = gx[j] - to_value[j];
            to_v[j] = g * total;
        }
    } else {
        _Pragma("omp parallel for if (size > RUN)")
        for (I j = 0; j < size; j++) {
            to_value[j] = factor * (gx[j] + gv[j]);
            to_x[j] = gx[j] - to_value[j];
        }
    }
}
