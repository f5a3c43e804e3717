#!/bin/bash
# The job of a notebook. batchspawner fills in what is in braces, and leaves out what nobody asked for.
#SBATCH --job-name=jupyter
#SBATCH --chdir={{homedir}}
#SBATCH --output={{homedir}}/.jupyter-%j.log
#SBATCH --export={{keepvars}}
{% if partition %}#SBATCH --partition={{partition}}
{% endif %}{% if runtime %}#SBATCH --time={{runtime}}
{% endif %}{% if nprocs %}#SBATCH --cpus-per-task={{nprocs}}
{% endif %}{% if memory %}#SBATCH --mem={{memory}}
{% endif %}{% if gres %}#SBATCH --gres={{gres}}
{% endif %}{% if account %}#SBATCH --account={{account}}
{% endif %}{% if qos %}#SBATCH --qos={{qos}}
{% endif %}{% if reservation %}#SBATCH --reservation={{reservation}}
{% endif %}{% if options %}#SBATCH {{options}}
{% endif %}
{{prologue}}
exec {{cmd}}
